"""Worker ids from this process's memory, for tests and programs of one process."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock
from typing import Final

from sequencer.sdk._errors import (
    SequenceNotFound,
    SequencerError,
    SequencerUnavailable,
    WorkerLost,
)
from sequencer.sdk._worker import Tenancy, Worker, WorkerRequest
from sequencer.sdk.layout import Layout

GRACE_S: Final = 0.05
"""A worker is free so long before its window ends; the next one begins where it does."""


@dataclass(slots=True)
class _Lease:
    """The newest lease of a worker id."""

    token: int
    client_id: str
    until_tick: int


@dataclass(slots=True)
class _State:
    """One sequence: the leases by worker id."""

    layout: Layout
    leases: list[_Lease] = field(default_factory=list)


class LocalWorkerSource:
    """A `WorkerSource` that forgets everything when the process ends.

    It refuses to work in a forked child, whose copy would lease the same again.

    Args:
        now: the time, aware.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._states: dict[str, _State] = {}
        self._lock = Lock()
        self._pid = os.getpid()

    def create(self, name: str, layout: Layout) -> None:
        """Create a sequence; an existing one stays."""
        self._states.setdefault(name, _State(layout))

    def ensure(self, name: str, *, timeout_s: float) -> None:  # noqa: ARG002 - of the protocol
        self.create(name, Layout())

    def acquire(self, request: WorkerRequest, *, timeout_s: float) -> Worker:  # noqa: ARG002
        with self._lock:
            state = self._state(request.name)
            now = state.layout.tick_at(self._now())
            worker_id = self._vacant(state, now)
            old = state.leases[worker_id]
            from_tick = max(now, old.until_tick, request.last_tick + 1)
            until_tick = from_tick + state.layout.ticks_in(request.window_s)
            until_tick = min(until_tick, state.layout.ticks)
            if until_tick <= from_tick:
                raise SequencerError("The time bits of the layout have run out")
            state.leases[worker_id] = _Lease(old.token + 1, request.client_id, until_tick)
            return _worker(state, worker_id, from_tick, now)

    def renew(self, tenancy: Tenancy, window_s: float, *, timeout_s: float) -> Worker:  # noqa: ARG002
        with self._lock:
            state = self._state(tenancy.name)
            lease = _held(state, tenancy)
            if lease is None:
                raise WorkerLost(f"Worker {tenancy.worker_id} is leased to somebody else")
            now, began = state.layout.tick_at(self._now()), lease.until_tick
            base = max(now, min(tenancy.now_tick, began))
            wanted = min(base + state.layout.ticks_in(window_s), state.layout.ticks)
            lease.until_tick = max(began, wanted)
            return _worker(state, tenancy.worker_id, began, now)

    def release(self, tenancy: Tenancy, next_tick: int, *, timeout_s: float) -> None:  # noqa: ARG002
        with self._lock:
            lease = _held(self._state(tenancy.name), tenancy)
            if lease is not None:
                lease.until_tick = min(lease.until_tick, next_tick)
                lease.token += 1

    def close(self) -> None:
        pass

    def _state(self, name: str) -> _State:
        if os.getpid() != self._pid:
            raise SequencerError("A local source serves only the process that made it")
        if name not in self._states:
            raise SequenceNotFound(f"There is no sequence {name!r}")
        return self._states[name]

    def _vacant(self, state: _State, now: int) -> int:
        """The lowest worker id whose window has ended, or that has had none."""
        for worker_id, lease in enumerate(state.leases):
            if lease.until_tick <= now + state.layout.ticks_in(GRACE_S):
                return worker_id
        if len(state.leases) == state.layout.workers:
            raise SequencerUnavailable("All worker ids are leased")
        state.leases.append(_Lease(0, "", 0))
        return len(state.leases) - 1


def _held(state: _State, tenancy: Tenancy) -> _Lease | None:
    if not 0 <= tenancy.worker_id < len(state.leases):
        return None
    lease = state.leases[tenancy.worker_id]
    is_holder = (lease.token, lease.client_id) == (tenancy.token, tenancy.client_id)
    return lease if is_holder else None


def _worker(state: _State, worker_id: int, from_tick: int, now: int) -> Worker:
    lease = state.leases[worker_id]
    return Worker(
        worker_id=worker_id,
        token=lease.token,
        from_tick=from_tick,
        until_tick=lease.until_tick,
        now_tick=now,
        layout=state.layout,
    )
