"""The rules by which a log grows, without any store."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.errors import MeshError
from sequencer import ledger
from sequencer.definition import MAX_ID, Caller, Kind, State
from sequencer.entry import MAX_TAILS, Action, Entry, Tail, Tip, Witness
from sequencer.errors import SequencerReason
from sequencer.ledger import MIN_SHARE, SHARE_BITS, Stamp, Wish
from tests.unit.sequencer.memory import BEGIN, defined

TIP = Tip(number=1, mark=11, epoch=0, position=0)
STAMP = Stamp(mark=22, time=BEGIN)
HOLDER = "mesh:shop/1"
LAST = Witness(number=1, mark=11, epoch=0, position=0)


def wish(size: int, **changes: Any) -> Wish:
    return replace(Wish(holder=HOLDER, size=size), **changes)


def reason(caught: pytest.ExceptionInfo[MeshError]) -> object:
    return caught.value.reason


def test_a_log_begins_with_what_was_created() -> None:
    """Number 1, at position 0."""
    entry = ledger.created(defined(), "ops/rpc", STAMP)

    assert entry.tip == Tip(number=1, mark=22, epoch=0, position=0)
    assert (entry.action, entry.size, entry.note) == (Action.CREATED, 0, "SEGMENT shop.order")
    assert (entry.caller, entry.client_id) == ("ops", "rpc")


def test_grants_follow_one_another() -> None:
    """Each begins where the one before ended; the tip says so."""
    first = ledger.grant(defined(), TIP, wish(10), STAMP)
    second = ledger.grant(defined(), first.tip, wish(5, last=LAST), STAMP)

    assert (first.number, first.position, first.stop, first.source) == (2, 0, 10, 0)
    assert (second.number, second.position, second.stop) == (3, 10, 15)
    assert second.tip == Tip(number=3, mark=22, epoch=0, position=15)


@pytest.mark.parametrize(
    ("position", "asked", "granted"),
    [
        (0, 2**50, MAX_ID >> SHARE_BITS),
        (0, MIN_SHARE, MIN_SHARE),
        (MAX_ID - MIN_SHARE - 5, 2**32, MIN_SHARE),
        (MAX_ID - 5, 2**32, 5),
        (MAX_ID - 1, 1, 1),
    ],
)
def test_one_grant_takes_a_small_share_of_what_is_left(
    position: int, asked: int, granted: int
) -> None:
    """At most the 2**-20th part, or 1,000 ids; at the end what there is."""
    entry = ledger.grant(defined(), replace(TIP, position=position), wish(asked), STAMP)

    assert entry.size == granted


def test_the_end_is_told_with_the_last_id() -> None:
    """Behind it nothing is granted."""
    small = defined(max_value=10, increment=3)
    with pytest.raises(MeshError) as caught:
        ledger.grant(small, replace(TIP, position=4), wish(1), STAMP)
    assert reason(caught) is SequencerReason.SEQUENCE_EXHAUSTED
    assert caught.value.metadata["last"] == "10"


def test_a_range_never_spans_two_rounds_of_a_cycle() -> None:
    """Ids of a lease are evenly spaced: a new round begins another lease."""
    cycle = defined(max_value=4, start=3, cycle=True)
    tip, sizes = TIP, []
    for _ in range(4):
        entry = ledger.grant(cycle, tip, wish(3, last=LAST), STAMP)
        tip = entry.tip
        sizes.append(entry.size)
    assert sizes == [2, 3, 1, 3]


@pytest.mark.parametrize(
    ("changes", "asked", "refusal"),
    [
        ({"kind": Kind.GAPLESS}, None, SequencerReason.KIND_MISMATCH),
        ({"kind": Kind.SNOWFLAKE}, Kind.SNOWFLAKE, SequencerReason.KIND_MISMATCH),
        ({}, Kind.STRICT, SequencerReason.KIND_MISMATCH),
        ({"state": State.DRAINING}, None, SequencerReason.SEQUENCE_CLOSED),
        ({"state": State.RETIRED}, None, SequencerReason.SEQUENCE_CLOSED),
        ({"callers": (Caller(name="ops"),)}, None, SequencerReason.CALLER_NOT_ALLOWED),
    ],
)
def test_who_may_not_take_ids_is_refused(
    changes: dict[str, Any], asked: Kind | None, refusal: SequencerReason
) -> None:
    """By kind, by state, by name."""
    with pytest.raises(MeshError) as caught:
        ledger.admit(defined(**changes), wish(1, kind=asked))
    assert reason(caught) is refusal


def test_a_tail_is_granted_again_in_parts_to_clients_without_a_lease() -> None:
    """Lowest first, and as the tail's own child; a client with a lease gets new ids."""
    lease = ledger.grant(defined(), TIP, wish(100), STAMP)
    back = ledger.take_back(lease.tip, lease, 40, STAMP)
    assert back is not None
    assert (back.number, back.position, back.size, back.source) == (3, 40, 60, 2)
    assert back.tip.tails == (Tail(number=3, position=40, size=60),)

    part = ledger.grant(defined(), back.tip, wish(20), STAMP)
    assert (part.position, part.size, part.source, part.tip.position) == (40, 20, 3, 100)
    assert part.tip.tails == (Tail(number=3, position=60, size=40),)
    new = ledger.grant(defined(), part.tip, wish(20, last=LAST), STAMP)
    assert (new.position, new.tip.returned) == (100, 40)
    rest = ledger.grant(defined(), new.tip, wish(100), STAMP)
    assert (rest.position, rest.size, rest.tip.tails) == (60, 40, ())


def test_a_strict_sequence_grants_no_tail() -> None:
    """Not even one that a log has from before."""
    tip = replace(TIP, position=100, tails=(Tail(number=1, position=40, size=60),))
    assert ledger.grant(defined(kind=Kind.STRICT), tip, wish(5), STAMP).position == 100


@pytest.mark.parametrize(("used", "epoch"), [(100, 0), (0, 1), (40, 3)])
def test_nothing_comes_back_of_a_used_lease_or_one_from_before_a_jump(
    used: int, epoch: int
) -> None:
    """Who else has its ids is not known after a jump."""
    lease = ledger.grant(defined(), TIP, wish(100), STAMP)
    assert ledger.take_back(replace(lease.tip, epoch=epoch), lease, used, STAMP) is None


def test_what_may_be_lost_moves_nothing() -> None:
    """The entry says which ids: the last so many of those used; also of a lease before a jump."""
    lease = ledger.grant(defined(), TIP, wish(100), STAMP)
    tip = replace(lease.tip, epoch=3, tails=(Tail(number=1, position=500, size=5),))
    entry = ledger.lost(tip, lease, 60, 25, STAMP)

    assert entry.tip == replace(tip, number=3)
    assert (entry.position, entry.stop, entry.source, entry.holder) == (35, 60, 2, HOLDER)


def test_more_than_the_lease_has_cannot_have_been_used() -> None:
    """That is refused with the field."""
    lease = ledger.grant(defined(), TIP, wish(100), STAMP)
    with pytest.raises(MeshError) as caught:
        ledger.take_back(lease.tip, lease, 101, STAMP)
    assert [violation.field for violation in caught.value.violations] == ["used"]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_tails_stay_apart_few_and_within_what_came_back(sizes: list[int], random: Random) -> None:
    """In order, never touching; of too many the smallest is given up, never another's id."""
    tip, leases = TIP, []
    for size in sizes:
        leases.append(ledger.grant(defined(), tip, wish(size, last=LAST), STAMP))
        tip = leases[-1].tip
    random.shuffle(leases)
    returned: set[int] = set()
    for lease in leases:
        used = lease.size // 3
        entry = ledger.take_back(tip, lease, used, STAMP)
        if entry is not None:
            tip = entry.tip
            returned.update(range(lease.position + used, lease.stop))
    kept = [position for tail in tip.tails for position in range(tail.position, tail.stop)]
    assert len(tip.tails) <= MAX_TAILS
    assert len(kept) == len(set(kept)) == tip.returned
    assert set(kept) <= returned
    assert all(before.stop < tail.position for before, tail in pairwise(tip.tails))


def test_of_too_many_tails_the_smallest_is_given_up() -> None:
    """Also when that is the one that came back last."""
    tails = tuple(Tail(number=1, position=place * 100, size=50) for place in range(MAX_TAILS))
    tip = replace(TIP, number=5, position=10_000, tails=tails)
    small = _lease(5_000, 10)
    entry = ledger.take_back(tip, small, 0, STAMP)
    assert entry is not None
    assert entry.tip.tails == tails
    large = ledger.take_back(tip, _lease(5_000, 60), 0, STAMP)
    assert large is not None
    assert len(large.tip.tails) == MAX_TAILS
    assert large.tip.tails[-1].size == 60


def _lease(position: int, size: int) -> Entry:
    return Entry(
        tip=TIP, action=Action.GRANTED, position=position, size=size, holder=HOLDER, time=BEGIN
    )


def test_a_jump_goes_behind_all_that_anybody_knows() -> None:
    """The highest position and an epoch above all; tails are given up."""
    tip = Tip(number=9, mark=1, epoch=2, position=100, tails=(Tail(number=3, position=5, size=5),))
    known = [
        Witness(number=5, mark=5, epoch=7, position=50),
        Witness(number=99, mark=6, epoch=0, position=5_000),
    ]
    jump = ledger.fenced(tip, known, STAMP, holder="mesh:sequencer/fence", note="why")

    assert jump.tip == Tip(number=10, mark=22, epoch=8, position=5_000, fence=5_000)
    assert (jump.action, jump.position, jump.size) == (Action.FENCED, 100, 4_900)


@pytest.mark.parametrize("known", [[], [Witness(number=5, mark=5, epoch=0, position=50)]])
def test_a_jump_never_goes_back(known: list[Witness]) -> None:
    """Who knows less, or nothing, still raises the epoch."""
    tip = replace(TIP, position=100)
    jump = ledger.fenced(tip, known, STAMP, holder="ops/rpc", note="")
    assert (jump.tip.position, jump.tip.fence, jump.tip.epoch, jump.size) == (100, 100, 1, 0)


@pytest.mark.parametrize(
    ("epoch", "position", "covered"),
    [(0, 500, True), (0, 501, False), (1, 500, False), (1, 0, False), (2, 0, False)],
)
def test_a_witness_is_covered_by_a_later_jump_behind_it(
    epoch: int, position: int, covered: bool
) -> None:
    """It needs both: a lower epoch, and a position that was jumped over."""
    tip = Tip(number=9, mark=1, epoch=1, position=900, fence=500)
    known = Witness(number=3, mark=3, epoch=epoch, position=position)
    assert ledger.is_covered(tip, known) is covered


def test_a_change_moves_nothing() -> None:
    """It is an entry that all servers meet before they append again."""
    tip = replace(TIP, position=70, tails=(Tail(number=1, position=5, size=5),), fence=3)
    entry = ledger.changed(tip, "ops/rpc", "settings", Stamp(mark=5, time=BEGIN + timedelta(1)))
    assert entry.tip == replace(tip, number=2, mark=5)
    assert (entry.size, entry.taken, entry.note) == (0, 0, "settings")


def test_what_a_caller_took_is_granted_less_returned() -> None:
    """A jump or a change is nobody's."""
    lease = ledger.grant(defined(), TIP, wish(100), STAMP)
    back = ledger.take_back(lease.tip, lease, 40, STAMP)
    jump = ledger.fenced(lease.tip, [replace(LAST, position=500)], STAMP, holder="a/b", note="")
    assert back is not None
    assert (lease.taken, back.taken, jump.taken) == (100, -60, 0)
