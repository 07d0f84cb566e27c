"""Positions and ids: each follows from the other, whatever the settings."""

from __future__ import annotations

from itertools import islice, pairwise
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from mesh.errors import MeshError
from sequencer.definition import (
    MAX_ID,
    MAX_POSITION,
    MIN_ID,
    Caller,
    Definition,
    Kind,
    check,
    split,
)
from sequencer.sdk.layout import Layout
from tests.unit.sequencer.memory import defined

SMALL = st.integers(-20, 20)
STEP = st.integers(-7, 7).filter(bool)


@st.composite
def definitions(draw: st.DrawFn) -> Definition:
    """Small sequences of every shape: both directions, a start inside, with and without cycle."""
    low = draw(SMALL)
    high = draw(st.integers(low, low + 30))
    start = draw(st.integers(low, high))
    return defined(
        min_value=low,
        max_value=high,
        start=start,
        increment=draw(STEP),
        cycle=draw(st.booleans()),
    )


def counted(definition: Definition, most: int) -> list[int]:
    """The first ids, counted one by one as anybody would."""
    found: list[int] = []
    id_ = definition.start
    while len(found) < most:
        if not definition.min_value <= id_ <= definition.max_value:
            if not definition.cycle:
                break
            id_ = definition.min_value if definition.increment > 0 else definition.max_value
        found.append(id_)
        id_ += definition.increment
    return found


@given(definitions())
def test_positions_count_the_ids(definition: Definition) -> None:
    """From the start by the increment to the end, and over again in a cycle."""
    ids = counted(definition, 100)

    assert [definition.id_at(position) for position in range(len(ids))] == ids
    assert definition.capacity == (MAX_POSITION if definition.cycle else len(ids))


@given(definitions())
def test_a_run_is_evenly_spaced_up_to_the_end_of_its_round(definition: Definition) -> None:
    """What is left of a round can be granted as one range; the next id begins another."""
    ids = counted(definition, 100)
    for position in range(len(ids)):
        run = definition.run_at(position)
        assert run >= 1
        within = ids[position : position + run]
        assert all(later - id_ == definition.increment for id_, later in pairwise(within))
        behind = ids[position + run : position + run + 1]
        edge = definition.min_value if definition.increment > 0 else definition.max_value
        assert behind in ([], [edge])


@given(definitions(), st.integers(-60, 60), st.integers(0, 100))
def test_an_id_leads_to_its_newest_position(definition: Definition, id_: int, before: int) -> None:
    """The last place below a bound that has it; none where there is no such place."""
    ids = counted(definition, before)
    places = [place for place, one in enumerate(ids) if one == id_]

    assert definition.position_of(id_, min(before, definition.capacity)) == (
        places[-1] if places else None
    )


@given(st.integers(0, 2**62), st.sampled_from([1, -1, 10, 10**9, -(10**9)]))
@example(0, 1)
def test_positions_and_ids_agree_over_the_whole_range(position: int, increment: int) -> None:
    """From one end of 64 bits to the other."""
    start = MIN_ID if increment > 0 else MAX_ID
    definition = defined(min_value=MIN_ID, start=start, increment=increment)
    assume(position < definition.capacity)

    id_ = definition.id_at(position)

    assert MIN_ID <= id_ <= MAX_ID
    assert definition.position_of(id_, position + 1) == position
    assert definition.position_of(id_, position) is None
    assert definition.run_at(position) >= definition.capacity - position


def test_a_range_of_all_ids_has_more_than_can_be_counted() -> None:
    """It ends at the last position, half-way."""
    everything = defined(min_value=MIN_ID, start=MIN_ID)

    assert everything.capacity == MAX_POSITION
    assert everything.id_at(MAX_POSITION - 1) == -2


def test_callers_are_all_when_none_is_named() -> None:
    """With names only these, each with its own quota."""
    anybody, named = (
        defined(),
        defined(callers=(Caller(name="ops"), Caller(name="mesh:shop", daily_quota=9))),
    )

    assert anybody.allows("whoever")
    assert anybody.quota("whoever") == 0
    assert [named.allows(name) for name in ("ops", "mesh:shop", "Ops", "")] == [
        True,
        True,
        False,
        False,
    ]
    assert [named.quota(name) for name in ("ops", "mesh:shop")] == [0, 9]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"start": 0}, "sequence.start"),
        ({"start": 11}, "sequence.start"),
        ({"max_value": 2**63}, "sequence.start"),
        ({"min_value": MIN_ID - 1}, "sequence.start"),
        ({"increment": 0}, "sequence.increment"),
        ({"cycle": True, "kind": Kind.STRICT}, "sequence.cycle"),
        ({"cycle": True, "kind": Kind.GAPLESS}, "sequence.cycle"),
        ({"kind": Kind.SNOWFLAKE}, "sequence.layout"),
        ({"layout": Layout()}, "sequence.layout"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, Any], field: str) -> None:
    """Each with the field to change."""
    with pytest.raises(MeshError) as caught:
        check(defined(**{"max_value": 10, **change}))
    assert [violation.field for violation in caught.value.violations] == [field]


@given(definitions())
def test_what_can_be_is_made(definition: Definition) -> None:
    """Any start between the ends will do, whichever way it counts."""
    assert check(definition) is definition


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a", ("a", "")),
        ("customer.follow_up", ("customer.follow_up", "")),
        ("a.b@2026", ("a.b", "2026")),
        ("a.b@202611", ("a.b", "202611")),
        ("a.b@20240229", ("a.b", "20240229")),
    ],
)
def test_a_name_tells_the_period(name: str, parts: tuple[str, str]) -> None:
    """Behind "@", as a year, a month or a day that is in the calendar."""
    assert split(name) == parts


@pytest.mark.parametrize(
    "name",
    [
        *("", "A", "a..b", "a@", "a@26", "a@20261301", "a@20230229", "a@202600", "a@0000"),
        *("a@２０２６", "a@2026-11-26", "a@2026@2026", "@2026", "a b", "a@20261126 "),
    ],
)
def test_other_names_are_refused(name: str) -> None:
    """With the field."""
    with pytest.raises(MeshError) as caught:
        split(name)
    assert [violation.field for violation in caught.value.violations] == ["name"]


def test_the_counting_of_this_test_is_right() -> None:
    """An example by hand."""
    cycle = defined(min_value=1, max_value=5, start=4, increment=-2, cycle=True)
    assert list(islice(counted(cycle, 8), 8)) == [4, 2, 5, 3, 1, 5, 3, 1]
