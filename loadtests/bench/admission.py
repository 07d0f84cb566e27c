"""Admission decisions in one process: the use case over its real store, gates answered at once.

Everything but the gates is real: the transaction that reads preferences, caps, scene
and task, decides, takes the place in the caps, writes contact, receipt, errand, event
and the answer of the call, and waits for the disk (synchronous FULL). The calls carry
request ids, as those of the platform do.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final

import uvloop

from centers.reach import wire
from centers.reach.admission import OPEN
from centers.reach.admission_rows import AdmissionStore
from centers.reach.admissions import Admissions, Ask
from centers.reach.app import BLUEPRINT
from centers.reach.domain import Chain, Channel, Check, ContactClass, Finding
from centers.reach.gates import Passage, Rendered, Script
from centers.reach.projection_rows import OPEN_TASKS, Task, Tasks, learn_task
from centers.reach.rules import Rules, built_in
from engine.reach.v1 import reach_pb2
from loadtests.bench._figure import Direction, Figure
from mesh.clock import SystemClock
from mesh.storage import IdempotentCall, SQLiteStore, idempotent_call, migrations
from mesh.telemetry import NullTracer

if TYPE_CHECKING:
    from loadtests.bench import Run

BAR_PER_S: Final = 500
CALLERS: Final = 64
STAFF: Final = 7
CONTACTS_OF_EACH: Final = 3
"""Customers are asked for three times: the first is admitted, the others meet the cap."""

DECISIONS, QUICK_DECISIONS = 6_000, 600
"""Of one round."""


def figures(run: Run) -> Iterator[Figure]:
    """The figures of this suite."""
    decisions = QUICK_DECISIONS if run.quick else DECISIONS
    with (
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        _entered(runner, _opened()) as store,
    ):
        numbers = count()

        def measure() -> float:
            return runner.run(_round(store, next(numbers), decisions))

        measure()  # uncounted: fills caches and pages
        figure = run.absolute(
            f"admission decisions, {CALLERS} callers, one process, SQLite",
            measure,
            unit="decisions/s",
            bar=BAR_PER_S,
            direction=Direction.AT_LEAST,
            note="one in three admitted, the others denied by the cap; all durable",
        )
    yield figure


@contextmanager
def _entered(
    runner: asyncio.Runner, manager: AbstractAsyncContextManager[SQLiteStore]
) -> Iterator[SQLiteStore]:
    """Between two calls of the runner, too."""
    opened = runner.run(_enter(manager))
    try:
        yield opened
    finally:
        runner.run(_leave(manager))


async def _enter(manager: AbstractAsyncContextManager[SQLiteStore]) -> SQLiteStore:
    return await manager.__aenter__()


async def _leave(manager: AbstractAsyncContextManager[SQLiteStore]) -> None:
    await manager.__aexit__(None, None, None)


@dataclass(frozen=True, slots=True)
class _OpenGates:
    """Gates that answer at once, as if the other centres had."""

    passage: Passage

    async def ask(self, *_: object) -> Passage:
        return self.passage


class _Ids:
    """Ids of a prefetched range."""

    def __init__(self) -> None:
        self._ids = count(1)

    async def next(self) -> int:
        return next(self._ids)


@asynccontextmanager
async def _opened() -> AsyncIterator[SQLiteStore]:
    """One database, which fills from round to round."""
    with tempfile.TemporaryDirectory(prefix="engine-") as folder:
        path = Path(folder) / "reach.db"
        assert BLUEPRINT.migrations is not None
        migrations.upgrade(path, BLUEPRINT.migrations)
        async with SQLiteStore(path, synchronous="FULL", tracer=NullTracer()) as store:
            yield store


async def _round(store: SQLiteStore, number: int, decisions: int) -> float:
    first = number * decisions + 1
    asks = iter(
        [_ask(first + index // CONTACTS_OF_EACH, first + index) for index in range(decisions)]
    )
    await _tell_tasks(store, range(first, first + decisions // CONTACTS_OF_EACH + 1))
    admissions = _admissions(store)

    async def caller() -> None:
        for ask in asks:
            key = IdempotentCall(
                caller="bench", method="SendSms", request_id=str(ask.contact_id), request_hash=b"1"
            )
            idempotent_call.set(key)
            await admissions.ask(
                ask, lambda made: reach_pb2.SendSmsResponse(contact=wire.contact(made))
            )

    began = perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(CALLERS):
            group.create_task(caller())
    return decisions / (perf_counter() - began)


def _admissions(store: SQLiteStore) -> Admissions:
    rules = built_in(demo=True)
    rendered = Rendered(material_id=5, version=1, text="您好", sha256="0" * 64, product_ids=(9,))
    suits = Finding(Check.SUITABILITY, True, "9")
    gates = replace(OPEN, suitability=suits, suitability_receipt_id=4)

    async def in_force() -> Rules:
        return rules

    return Admissions(
        store=AdmissionStore(store),
        tasks=Tasks(store),
        gate=_OpenGates(Passage(gates=gates, rendered=rendered, product_ids=(9,))),
        receipts=_Ids(),
        rules=in_force,
        clock=SystemClock(),
        wake=lambda: None,
    )


async def _tell_tasks(store: SQLiteStore, customers: range) -> None:
    now, state = datetime.now(UTC), min(OPEN_TASKS)
    async with store.transaction() as tx:
        for customer in customers:
            chain = Chain(scene_version=1, trigger_id=2, opportunity_id=3, task_id=customer)
            await learn_task(
                tx,
                Task(
                    task_id=customer,
                    customer_id=customer,
                    owner_id=STAFF,
                    state=state,
                    chain=chain,
                    update_time=now,
                ),
            )


def _ask(customer_id: int, contact_id: int) -> Ask:
    return Ask(
        contact_id=contact_id,
        customer_id=customer_id,
        channel=Channel.SMS,
        contact_class=ContactClass.MARKETING,
        staff_id=STAFF,
        actor="rm007",
        script=Script(material_id=5, slots={"greeting": "你好"}),
        task_id=customer_id,
        product_id=9,
    )
