"""Where worker ids come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sequencer.sdk.layout import Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRequest:
    """Asks for a worker id of sequence `name`, for `window_s` seconds at first.

    `last_tick` is the highest tick that this client has made an id in, -1 for
    none: the window must begin after it.
    """

    name: str
    client_id: str
    window_s: float
    last_tick: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A worker id and its window of id time: `from_tick` … `until_tick - 1`.

    `now_tick` is the source's time when it answered.
    """

    worker_id: int
    token: int
    from_tick: int
    until_tick: int
    now_tick: int
    layout: Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenancy:
    """Proves who holds a worker id; `until_tick` is the end of the window as they know it."""

    name: str
    client_id: str
    worker_id: int
    token: int
    until_tick: int
    now_tick: int


class WorkerSource(Protocol):
    """Leases worker ids. Its calls block and are made on one thread at a time.

    Nobody else is given the same worker id with a window that overlaps one that
    was ever granted, whatever any clock says.

    Errors are `SequencerError`s; `SequencerUnavailable` is tried again.
    """

    def acquire(self, request: WorkerRequest, *, timeout_s: float) -> Worker:
        """Lease a worker id that nobody holds."""

    def ensure(self, name: str, *, timeout_s: float) -> None:
        """Create the sequence with the default layout, unless it is there."""

    def renew(self, tenancy: Tenancy, window_s: float, *, timeout_s: float) -> Worker:
        """Extend the window to `window_s` from the holder's time; it never becomes shorter.

        Raises:
            WorkerLost: somebody else has the worker id, or may have it.
        """

    def release(self, tenancy: Tenancy, next_tick: int, *, timeout_s: float) -> None:
        """Let others have what is left of the window from `next_tick` on. Twice does nothing."""

    def close(self) -> None:
        """Let go of connections. A later call opens them anew."""
