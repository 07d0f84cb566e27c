"""Where ranges come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRequest:
    """Asks for `size` ids of sequence `name`.

    `last_lease_number` and `last_id` are the highest that this client has ever
    been granted, 0 for none: a source that stands lower must jump over them.
    """

    name: str
    client_id: str
    size: int
    last_lease_number: int = 0
    last_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The ids `first` … `first + size - 1`, granted to one client under a number of their own."""

    number: int
    first: int
    size: int

    @property
    def stop(self) -> int:
        """The first id after the range."""
        return self.first + self.size


class RangeSource(Protocol):
    """Grants ranges. Its calls block and are made on one thread at a time.

    Errors are `SequencerError`s; `SequencerUnavailable` is tried again.
    """

    def lease(self, request: LeaseRequest, *, timeout_s: float) -> Lease:
        """Grant a range that nobody else has; it may be smaller than asked for."""

    def give_back(
        self, name: str, client_id: str, lease_number: int, first_unused: int, *, timeout_s: float
    ) -> None:
        """Take back the tail of a lease, from `first_unused` on. A second time does nothing."""

    def ensure(self, name: str, *, timeout_s: float) -> None:
        """Create the sequence with default settings, unless it is there."""

    def close(self) -> None:
        """Let go of connections. A later call opens them anew."""
