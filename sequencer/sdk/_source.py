"""Where ranges come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """What somebody knows of a sequence's log: that the entry was there.

    Attributes:
        number: of the entry.
        mark: random, given to the entry when it was made: its identity.
        epoch: in which it was made; each rewind of the store begins a new one.
        position: ids granted by then, in the order of the sequence.
    """

    number: int
    mark: int
    epoch: int
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRequest:
    """Asks for `size` ids of sequence `name`.

    Attributes:
        name: of the sequence.
        client_id: who asks, never reused by another process.
        size: ids wanted.
        last: the newest lease that this client has had, None before its first: a
            source that does not know it was put back to an older copy, and must
            jump over it.
        strict: the client counts on a sequence of kind STRICT; another is refused.
    """

    name: str
    client_id: str
    size: int
    last: Witness | None = None
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """`size` ids from `first` on, `increment` apart, granted to one client.

    Leases of a client are ordered by (epoch, number), never by their ids: those
    may fall, and begin again where a sequence cycles.

    Attributes:
        number: of the log's entry that granted it.
        mark: of that entry.
        epoch: of that entry.
        position: ids of the sequence granted by then, its own included.
        first: the first id.
        size: number of ids, at least 1.
        increment: from one id to the next; may be negative.
    """

    number: int
    mark: int = 0
    epoch: int = 0
    position: int
    first: int
    size: int
    increment: int = 1

    @property
    def ids(self) -> range:
        """The ids, in the order in which they are used."""
        return range(self.first, self.first + self.size * self.increment, self.increment)

    @property
    def witness(self) -> Witness:
        """What its holder knows of the log."""
        return Witness(number=self.number, mark=self.mark, epoch=self.epoch, position=self.position)

    def follows(self, last: Witness | None) -> bool:
        """Whether a client whose newest lease was `last` can have been granted this one."""
        return last is None or (
            (self.epoch, self.number) > (last.epoch, last.number)
            and self.position >= last.position + self.size
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """What is left of a client's lease after the first `used` ids of it.

    The last `lost` of those may never have been used: their client was killed.
    """

    name: str
    client_id: str
    lease_number: int
    mark: int = 0
    used: int
    lost: int = 0


class RangeSource(Protocol):
    """Grants ranges. Its calls block; several threads may make them at once.

    Errors are `SequencerError`s; `SequencerUnavailable` is tried again.
    """

    def lease(self, request: LeaseRequest, *, timeout_s: float) -> Lease:
        """Grant a range that nobody else has; it may be smaller than asked for."""

    def give_back(self, tail: Tail, *, timeout_s: float) -> None:
        """Take back the tail of a lease. A second time does nothing."""

    def ensure(self, name: str, *, strict: bool = False, timeout_s: float) -> None:
        """Create the sequence, of kind STRICT or SEGMENT, unless it is there."""

    def close(self) -> None:
        """Let go of connections. A later call opens them anew."""
