"""What events must keep to be taken in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from centers.decision.domain import Event, Reversal
from centers.decision.errors import DecisionReason
from centers.decision.intake import AHEAD_US, MAX_NAMED, check
from mesh.errors import MeshError

NOW = 1_772_000_000_000_000
GOOD = Event(
    event_type="core.inflow",
    business_key="a",
    customer_id=7,
    occurred_us=NOW,
    numbers={"amount_fen": 1},
    texts={"class": "SALARY", "channel": "APP"},
)


def refusal(event: Event) -> MeshError:
    with pytest.raises(MeshError) as error:
        check([GOOD, event], [], NOW)
    return error.value


@pytest.mark.parametrize(
    ("change", "reason", "place"),
    [
        ({"event_type": "core.x"}, DecisionReason.EVENT_TYPE_UNKNOWN, "events[1].event_type"),
        (
            {"numbers": {"amount_fen": 1, "fee_fen": 2}},
            DecisionReason.FIELD_UNKNOWN,
            "events[1].numbers[fee_fen]",
        ),
        (
            {"texts": {"class": "SALARY", "13800001234": "x"}},
            DecisionReason.FIELD_UNKNOWN,
            "events[1].texts[?]",
        ),
        ({"numbers": {}}, DecisionReason.EVENT_INVALID, "events[1].numbers[amount_fen]"),
        ({"texts": {}}, DecisionReason.EVENT_INVALID, "events[1].texts[class]"),
        ({"texts": {"class": "GIFT"}}, DecisionReason.EVENT_INVALID, "events[1].texts[class]"),
        (
            {"numbers": {"amount_fen": -1}},
            DecisionReason.EVENT_INVALID,
            "events[1].numbers[amount_fen]",
        ),
        (
            {"texts": {"class": "SALARY", "channel": "from 138 0000 1234"}},
            DecisionReason.EVENT_INVALID,
            "events[1].texts[channel]",
        ),
        (
            {"occurred_us": NOW + AHEAD_US + 1},
            DecisionReason.TIME_INVALID,
            "events[1].occurred_time",
        ),
        ({"occurred_us": 0}, DecisionReason.TIME_INVALID, "events[1].occurred_time"),
    ],
)
def test_event_that_its_type_does_not_allow_is_refused(
    change: dict[str, Any], reason: DecisionReason, place: str
) -> None:
    """The error names the place, and repeats nothing that may be personal."""
    error = refusal(replace(GOOD, **change))
    assert error.reason is reason
    assert [violation.field for violation in error.violations] == [place]
    assert "13800001234" not in str(error)


def test_reason_of_a_reversal_names_nobody() -> None:
    """It is told to all in an event."""
    good = Reversal(event_type="core.inflow", business_key="a", occurred_us=NOW, reason="RECALL")
    check([], [good], NOW)
    with pytest.raises(MeshError) as error:
        check([], [good, replace(good, reason="asked 13800001234")], NOW)
    assert error.value.reason is DecisionReason.EVENT_INVALID
    assert [one.field for one in error.value.violations] == ["reversals[1].reason"]
    assert "13800001234" not in str(error.value)


def test_clock_of_a_source_may_be_a_little_ahead() -> None:
    """Five minutes are taken."""
    check([replace(GOOD, occurred_us=NOW + AHEAD_US)], [], NOW)


def test_reversals_are_checked_too() -> None:
    """Their type and time."""
    wrong = Reversal(event_type="core.x", business_key="a", occurred_us=0, reason="ERROR")
    with pytest.raises(MeshError) as error:
        check([], [wrong], NOW)
    fields = [violation.field for violation in error.value.violations]
    assert fields == ["reversals[0].occurred_time", "reversals[0].event_type"]


def test_error_names_a_bounded_number_of_places() -> None:
    """A request of nothing but faults gets no endless answer."""
    with pytest.raises(MeshError) as error:
        check([replace(GOOD, numbers={})] * 5_000, [], NOW)
    assert len(error.value.violations) == MAX_NAMED
