"""The rules by which ids are granted and taken back. Pure: no clock, no store.

Every change of who holds a range gets a lease number of its own, and numbers
only rise. Ranges of one sequence never overlap.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Final

from mesh.errors import MeshError, MeshReason, Violation
from sequencer.errors import SequencerReason

MAX_ID: Final = 2**63 - 1
MAX_LEASE_NUMBER: Final = 2**62

MIN_SHARE: Final = 1_000
SHARE_BITS: Final = 20
"""A grant takes at most the 2**-20th part of what is left, or 1,000 ids if that is more."""


class LeaseState(Enum):
    """Whether the ids of a range count as used, or wait to be granted again."""

    GRANTED = 1
    RETURNED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """A sequence from `start` to `max_value`, of which `last_value` was the last id granted.

    `last_value` is `start - 1` before the first grant.
    """

    name: str
    start: int
    max_value: int
    last_value: int
    lease_number: int
    create_time: datetime

    @property
    def next_value(self) -> int:
        """The id that the next new range starts with; 0 when there is none."""
        return self.last_value + 1 if self.last_value < self.max_value else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The ids `first` … `first + size - 1`. `size` is 0 once all of them have gone elsewhere.

    `client_id` is that of its holder, "actor/client": unique over all callers.
    """

    sequence: str
    number: int
    first: int
    size: int
    client_id: str
    state: LeaseState
    lease_time: datetime

    @property
    def stop(self) -> int:
        """The first id after the range."""
        return self.first + self.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """A client's wish for ids, with the highest lease number and id that it has ever held.

    `is_believed` is whether these may be above what the store knows.
    """

    client_id: str
    size: int
    last_lease_number: int = 0
    last_id: int = 0
    is_believed: bool = False

    @property
    def is_first(self) -> bool:
        """Whether the client has never held a range: only then may ids go back to lower ones."""
        return not self.last_lease_number and not self.last_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to be stored: the sequence, one new lease, and one whose range has shrunk."""

    sequence: Sequence
    added: Lease
    resized: Lease | None = None


def new_sequence(name: str, *, start: int, max_value: int, now: datetime) -> Sequence:
    """A sequence before its first grant; 0 stands for the defaults 1 and 2**63 - 1.

    Raises:
        MeshError: INVALID_ARGUMENT, when it would be empty.
    """
    start, max_value = start or 1, max_value or MAX_ID
    if start > max_value:
        raise _invalid("sequence.start", "is above max_value")
    return Sequence(
        name=name,
        start=start,
        max_value=max_value,
        last_value=start - 1,
        lease_number=0,
        create_time=now,
    )


def fence(sequence: Sequence, demand: Demand) -> Sequence:
    """The sequence, moved past what the client knows to have been granted.

    A store that stands lower than one of its clients was restored from an old
    copy; granting from there would repeat ids. Only who is believed moves it:
    anybody else could burn the sequence.

    Raises:
        MeshError: INVALID_ARGUMENT, when the client cannot have held what it
            says; FENCE_REFUSED, when it is above the store and not believed.
    """
    if demand.last_id > sequence.max_value:
        raise _invalid("last_id", "is beyond the sequence")
    if demand.last_lease_number > MAX_LEASE_NUMBER:
        raise _invalid("last_lease_number", "is not one of this sequence")
    moved = replace(
        sequence,
        last_value=max(sequence.last_value, demand.last_id),
        lease_number=max(sequence.lease_number, demand.last_lease_number),
    )
    if moved != sequence and not demand.is_believed:
        raise MeshError(SequencerReason.FENCE_REFUSED)
    return moved


def grant(sequence: Sequence, demand: Demand, now: datetime) -> Change:
    """Grant the next ids: as many as asked for, fewer near the end of the sequence.

    Raises:
        MeshError: SEQUENCE_EXHAUSTED.
    """
    left = sequence.max_value - sequence.last_value
    size = min(demand.size, max(left >> SHARE_BITS, MIN_SHARE), left)
    if size <= 0:
        raise MeshError(
            SequencerReason.SEQUENCE_EXHAUSTED,
            f"The sequence '{sequence.name}' has no ids left",
            metadata={"sequence": sequence.name, "max_value": str(sequence.max_value)},
        )
    first = sequence.last_value + 1
    moved = replace(sequence, last_value=first + size - 1)
    return _leased(moved, demand, first, size, now)


def regrant(sequence: Sequence, tail: Lease, demand: Demand, now: datetime) -> Change:
    """Grant a returned range, or its beginning, to a client that has held none before."""
    assert demand.is_first
    size = min(demand.size, tail.size)
    change = _leased(sequence, demand, tail.first, size, now)
    rest = replace(tail, first=tail.first + size, size=tail.size - size)
    return replace(change, resized=rest)


def take_back(sequence: Sequence, lease: Lease, first_unused: int, now: datetime) -> Change | None:
    """Cut the lease before `first_unused`; None when nothing is left to take back.

    Raises:
        MeshError: INVALID_ARGUMENT, when the id lies outside the lease.
    """
    if not lease.first <= first_unused <= lease.stop:
        raise _invalid("first_unused", "is outside the lease")
    if first_unused == lease.stop:
        return None
    number = sequence.lease_number + 1
    tail = replace(
        lease,
        number=number,
        first=first_unused,
        size=lease.stop - first_unused,
        state=LeaseState.RETURNED,
        lease_time=now,
    )
    return Change(
        sequence=replace(sequence, lease_number=number),
        added=tail,
        resized=replace(lease, size=first_unused - lease.first),
    )


def _leased(sequence: Sequence, demand: Demand, first: int, size: int, now: datetime) -> Change:
    number = sequence.lease_number + 1
    lease = Lease(
        sequence=sequence.name,
        number=number,
        first=first,
        size=size,
        client_id=demand.client_id,
        state=LeaseState.GRANTED,
        lease_time=now,
    )
    return Change(sequence=replace(sequence, lease_number=number), added=lease)


def _invalid(field: str, description: str) -> MeshError:
    return MeshError(
        MeshReason.INVALID_ARGUMENT,
        f"{field}: {description}",
        violations=[Violation(field, description)],
    )
