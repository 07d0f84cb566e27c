"""The service's use cases as a source of workers, without a network."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from mesh.errors import MeshError
from mesh.telemetry import Meters
from sequencer.definition import Definition, Kind, State
from sequencer.entry import Witness
from sequencer.sdk import SequenceExhausted, SequenceNotFound, SequencerError, SequencerUnavailable
from sequencer.sdk._errors import WorkerLost
from sequencer.sdk._worker import Tenancy, Worker, WorkerRequest
from sequencer.sdk.layout import Layout
from sequencer.snowflake.memory_store import MemoryWorkers
from sequencer.snowflake.service import Asked, Held, Lease, Workers
from sequencer.snowflake.watch import WorkerWatch
from tests.unit.sequencer.snowflake.worlds import NAME, START, Wall

T = TypeVar("T")

UID = 7
ERRORS: dict[str, type[SequencerError]] = {
    "SEQUENCE_NOT_FOUND": SequenceNotFound,
    "LAYOUT_EXHAUSTED": SequenceExhausted,
    "WORKERS_EXHAUSTED": SequencerUnavailable,
    "WORKER_LOST": WorkerLost,
}


def definition(layout: Layout | None = None, **changes: Any) -> Definition:
    """A snowflake sequence."""
    settings: dict[str, Any] = {
        "uid": UID,
        "name": NAME,
        "kind": Kind.SNOWFLAKE,
        "start": 1,
        "min_value": 1,
        "max_value": 2**63 - 1,
        "increment": 1,
        "cycle": False,
        "create_time": START,
        "retention_days": 400,
        "state": State.ACTIVE,
        "layout": layout or Layout(),
    }
    return Definition(**{**settings, **changes})


@dataclass(slots=True)
class Names:
    """One sequence."""

    sequence: Definition = field(default_factory=definition)

    async def known(self, name: str) -> Definition:
        assert name == self.sequence.name
        return self.sequence


@dataclass(slots=True)
class Noted:
    """A host's journal."""

    witnesses: dict[int, Witness] = field(default_factory=dict)

    def read(self, sequence: int) -> Witness | None:
        return self.witnesses.get(sequence)

    def note(self, sequence: int, witness: Witness) -> None:
        known = self.witnesses.get(sequence)
        if known is None or known.age < witness.age:
            self.witnesses[sequence] = witness


class ServerClock:
    """A `Clock` by a wall that a test moves."""

    def __init__(self, wall: Wall) -> None:
        self._wall = wall

    def now(self) -> datetime:
        return self._wall()

    def monotonic(self) -> float:
        raise NotImplementedError

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


class Server:
    """A server process and its clock; also a `WorkerSource` that its clients reach at once."""

    def __init__(
        self,
        store: MemoryWorkers | None = None,
        *,
        wall: Wall | None = None,
        layout: Layout | None = None,
        journal: Noted | None = None,
    ) -> None:
        self.wall = wall or Wall()
        self.names = Names(definition(layout))
        self.journal = journal or Noted()
        self.meters = Meters()
        self.store = store or MemoryWorkers()
        clock = ServerClock(self.wall)
        watch = WorkerWatch(self.journal, self.meters)
        self.workers = Workers(self.store, self.names, watch, clock, self.meters)

    def acquire(self, request: WorkerRequest, *, timeout_s: float) -> Worker:
        asked = _asked(request.name, request.client_id)
        return _worker(
            finished(
                self.workers.acquire(asked, window_s=request.window_s, last_tick=request.last_tick)
            )
        )

    def ensure(self, name: str, *, timeout_s: float) -> None:
        raise NotImplementedError

    def renew(self, tenancy: Tenancy, window_s: float, *, timeout_s: float) -> Worker:
        held = Held(
            worker_id=tenancy.worker_id,
            token=tenancy.token,
            until_tick=tenancy.until_tick,
            now_tick=tenancy.now_tick,
        )
        asked = _asked(tenancy.name, tenancy.client_id)
        return _worker(finished(self.workers.renew(asked, held, window_s=window_s)))

    def release(self, tenancy: Tenancy, next_tick: int, *, timeout_s: float) -> None:
        finished(
            self.workers.release(
                _asked(tenancy.name, tenancy.client_id),
                worker_id=tenancy.worker_id,
                token=tenancy.token,
                next_tick=next_tick,
            )
        )

    def close(self) -> None:
        pass


def finished(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine answers that waits for nothing; errors as the SDK's users see them."""
    try:
        work.send(None)
    except StopIteration as done:
        answer: T = done.value
        return answer
    except MeshError as error:
        raise ERRORS.get(error.reason.name, SequencerError)(error.reason.name) from error
    raise AssertionError("it waits for something")


def _asked(name: str, client_id: str) -> Asked:
    return Asked(name=name, holder=f"mesh:shop/{client_id}", is_believed=True)


def _worker(lease: Lease) -> Worker:
    return Worker(
        worker_id=lease.window.worker_id,
        token=lease.window.token,
        from_tick=lease.window.from_tick,
        until_tick=lease.window.until_tick,
        now_tick=lease.moment.tick,
        layout=lease.moment.layout,
    )
