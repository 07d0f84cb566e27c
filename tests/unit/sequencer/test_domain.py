"""The rules of allocation."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from mesh.errors import MeshError, MeshReason
from sequencer.domain import (
    MAX_ID,
    MAX_LEASE_NUMBER,
    MIN_SHARE,
    Change,
    Demand,
    Lease,
    LeaseState,
    Sequence,
    fence,
    grant,
    new_sequence,
    regrant,
    take_back,
)
from sequencer.errors import SequencerReason

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def sequence(*, start: int = 1, max_value: int = MAX_ID) -> Sequence:
    return new_sequence("test.ids", start=start, max_value=max_value, now=NOW)


def demand(size: int, *, last_lease_number: int = 0, last_id: int = 0) -> Demand:
    return Demand(
        client_id="a",
        size=size,
        last_lease_number=last_lease_number,
        last_id=last_id,
        is_believed=True,
    )


def test_a_new_sequence_has_defaults() -> None:
    """Zero stands for the first id 1 and the last of 63 bits."""
    fresh = new_sequence("test.ids", start=0, max_value=0, now=NOW)

    assert (fresh.start, fresh.max_value, fresh.next_value) == (1, 2**63 - 1, 1)


def test_an_empty_sequence_is_refused() -> None:
    """A start above the end is the caller's mistake, and named."""
    with pytest.raises(MeshError) as caught:
        sequence(start=10, max_value=9)

    assert caught.value.reason is MeshReason.INVALID_ARGUMENT
    assert caught.value.violations[0].field == "sequence.start"


def test_grants_follow_one_another() -> None:
    """Each grant begins where the one before ended, with the next number."""
    first = grant(sequence(start=5), demand(10), NOW)
    second = grant(first.sequence, demand(3), NOW)

    assert (first.added.first, first.added.size, first.added.number) == (5, 10, 1)
    assert (second.added.first, second.added.size, second.added.number) == (15, 3, 2)
    assert second.sequence.next_value == 18


def test_the_last_grant_is_cut_at_the_end() -> None:
    """Every id up to the last one is granted, then the sequence is exhausted."""
    change = grant(sequence(start=MAX_ID - 4), demand(1_000), NOW)
    assert (change.added.stop - 1, change.added.size) == (MAX_ID, 5)
    assert change.sequence.next_value == 0

    with pytest.raises(MeshError) as caught:
        grant(change.sequence, demand(1), NOW)
    assert caught.value.reason is SequencerReason.SEQUENCE_EXHAUSTED


def test_no_client_takes_most_of_a_small_sequence() -> None:
    """A grant is bounded by a share of what is left, but never below a useful size."""
    assert grant(sequence(max_value=10_000), demand(2**32), NOW).added.size == MIN_SHARE
    assert grant(sequence(max_value=2**40), demand(2**32), NOW).added.size == 2**20
    assert grant(sequence(), demand(2**32), NOW).added.size == 2**32


def test_a_store_that_stands_lower_is_jumped_over() -> None:
    """A client that holds higher ids or lease numbers proves that the store is an old copy."""
    stored = replace(sequence(), last_value=100, lease_number=3)

    ahead = fence(stored, demand(1, last_lease_number=9, last_id=5_000))
    assert (ahead.last_value, ahead.lease_number) == (5_000, 9)
    behind = fence(stored, demand(1, last_lease_number=2, last_id=50))
    assert behind == stored
    assert fence(stored, demand(1, last_lease_number=4, last_id=50)).lease_number == 4


def test_only_who_is_believed_moves_a_sequence() -> None:
    """Anybody else may say no more than what has been granted."""
    stored = replace(sequence(), last_value=100, lease_number=3)
    known = replace(demand(1, last_lease_number=3, last_id=100), is_believed=False)
    assert fence(stored, known) == stored

    for claim in (replace(known, last_lease_number=4), replace(known, last_id=101)):
        with pytest.raises(MeshError) as caught:
            fence(stored, claim)
        assert caught.value.reason is SequencerReason.FENCE_REFUSED


@pytest.mark.parametrize(
    ("claim", "field"),
    [
        (demand(1, last_id=1_001), "last_id"),
        (demand(1, last_lease_number=MAX_LEASE_NUMBER + 1), "last_lease_number"),
    ],
)
def test_impossible_claims_are_refused(claim: Demand, field: str) -> None:
    """A client cannot burn a sequence with an id or number that it never held."""
    with pytest.raises(MeshError) as caught:
        fence(sequence(max_value=1_000), claim)

    assert caught.value.violations[0].field == field


def test_a_returned_tail_gets_a_number_of_its_own() -> None:
    """The used part stays with its holder; the tail waits, later in number than every lease."""
    change = grant(sequence(), demand(100), NOW)
    back = take_back(change.sequence, change.added, 41, NOW)

    assert back is not None
    assert back.resized == replace(change.added, size=40)
    assert (back.added.first, back.added.size, back.added.number) == (41, 60, 2)
    assert back.added.state is LeaseState.RETURNED
    assert back.sequence.next_value == 101


def test_returning_nothing_changes_nothing() -> None:
    """A lease that is used up, or was returned before, has nothing to give back."""
    change = grant(sequence(), demand(100), NOW)
    assert take_back(change.sequence, change.added, 101, NOW) is None

    back = take_back(change.sequence, change.added, 41, NOW)
    assert back is not None
    assert back.resized is not None
    assert take_back(back.sequence, back.resized, 41, NOW) is None


@pytest.mark.parametrize("first_unused", [0, 102])
def test_ids_outside_the_lease_cannot_be_returned(first_unused: int) -> None:
    """Only what was granted comes back."""
    change = grant(sequence(), demand(100), NOW)

    with pytest.raises(MeshError) as caught:
        take_back(change.sequence, change.added, first_unused, NOW)
    assert caught.value.violations[0].field == "first_unused"


def test_a_large_tail_is_granted_in_parts() -> None:
    """A client gets no more of a returned range than it asks for; the rest goes on waiting."""
    change = grant(sequence(), demand(100), NOW)
    back = take_back(change.sequence, change.added, 41, NOW)
    assert back is not None

    again = regrant(back.sequence, back.added, demand(10), NOW)

    assert (again.added.first, again.added.size, again.added.number) == (41, 10, 3)
    assert again.resized == replace(back.added, first=51, size=50)


class Allocation(RuleBasedStateMachine):
    """Grants, returns and restorations against what must always hold."""

    clients = Bundle("clients")
    leases = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.sequence = new_sequence("test.ids", start=3, max_value=20_000, now=NOW)
        self.rows: dict[int, Lease] = {}
        self.heard: dict[str, tuple[int, int]] = {}

    @rule(target=clients)
    def arrive(self) -> str:
        name = f"client{len(self.heard)}"
        self.heard[name] = (0, 0)
        return name

    @rule(target=leases, client=clients, size=st.integers(1, 900))
    def lease(self, client: str, size: int) -> int:
        number, last = self.heard[client]
        wish = Demand(client_id=client, size=size, last_lease_number=number, last_id=last)
        fenced = fence(self.sequence, wish)
        assert fenced == self.sequence
        tails = [r for r in self.rows.values() if r.state is LeaseState.RETURNED and r.size]
        if wish.is_first and tails:
            change = regrant(fenced, min(tails, key=lambda row: row.first), wish, NOW)
        elif self.sequence.next_value:
            change = grant(fenced, wish, NOW)
        else:
            with pytest.raises(MeshError, match="SEQUENCE_EXHAUSTED"):
                grant(fenced, wish, NOW)
            return 0
        assert 1 <= change.added.size <= size
        assert change.added.first > last
        self.heard[client] = (change.added.number, change.added.stop - 1)
        return self.store(change)

    @rule(number=consumes(leases), share=st.floats(0, 1))
    def give_back(self, number: int, share: float) -> None:
        row = self.rows.get(number)
        if row is None:
            return
        first_unused = row.first + int(row.size * share)
        change = take_back(self.sequence, row, first_unused, NOW)
        assert (change is None) == (first_unused == row.stop)
        if change is not None:
            self.store(change)

    def store(self, change: Change) -> int:
        assert change.added.number > self.sequence.lease_number
        assert change.added.number not in self.rows
        self.sequence = change.sequence
        self.rows[change.added.number] = change.added
        if change.resized is not None:
            self.rows[change.resized.number] = change.resized
        return change.added.number

    @invariant()
    def ranges_cover_what_was_granted_and_never_overlap(self) -> None:
        ranges = sorted((r.first, r.stop) for r in self.rows.values() if r.size)
        expected = self.sequence.start
        for first, stop in ranges:
            assert first == expected
            expected = stop
        assert expected == self.sequence.last_value + 1


Allocation.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestAllocation = Allocation.TestCase
