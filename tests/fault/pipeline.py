"""Events from producer to effect while everything on the way is killed at random.

Producers write a row and publish its events in one transaction; relay, bus and consumer
carry them to one row each in another database. Whatever happens meanwhile: acknowledged
rows are there, and the events of the rows that are there have had their effect, each once.

`python -m tests.fault.pipeline bus|producer|consumer` is one of the processes, with the
settings of its environment.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
import uvloop

from engine.mesh.v1.event_pb2 import Event
from engine.mesh.v1.trust_pb2 import Revocation
from mesh import App, Blueprint, DirectoryRegistry, Parts, Service, Settings
from mesh.background import Background
from mesh.bus import app as bus
from mesh.events import Effect, Subscription, event
from mesh.service import RIGHTS_OF_ALL
from mesh.settings import load, to_environ
from mesh.storage import (
    OutcomeUnknown,
    StorageError,
    Store,
    Transaction,
    address,
    migrations,
    open_store,
)
from mesh.telemetry import NullTracer
from mesh.tokens import write_trust
from tests.fault.checkers import EachOnce, NothingLost, check
from tests.fault.history import History, Outcome, operations
from tests.fault.nemesis import Fault, Nemesis, process_faults
from tests.fault.victims import Victim, Worker, serving

PER_ROW: Final = 10
"""Events that one transaction publishes."""

WRITERS: Final = 8
RETRY_S: Final = 0.05
LAST: Final = -1
LIFE: Final = 1_000_000
"""Numbers of one life of a producer; the next life begins behind them."""

NEARLY: Final = 0.9
UNDER_FAULTS_S: Final = 240.0
LOOK_S: Final = 0.5
PONDER_S: Final = 0.02
"""How long a careless consumer is between an effect and knowing of it: time to be killed in."""


SETTLE_S: Final = 120.0
"""How long all may take to arrive once nothing is hurt any more."""

REVISION: Final = """
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "line",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
"""
LINES: Final = sa.table("line", sa.column("id"), sa.column("number"))
_ADD: Final = sa.insert(LINES)
_NUMBERS: Final = sa.select(LINES.c.number)
_COUNT: Final = sa.select(sa.func.count()).select_from(LINES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run: in a folder, on parts that settings name, with further faults if any."""

    folder: Path
    seed: int
    events: int
    parts: Mapping[str, Any]
    servers: Mapping[str, Victim]
    faults: tuple[Fault, ...] = ()
    again: str = ""
    every_s: tuple[float, float] = (0.3, 2.0)
    careless: bool = False
    """Have a consumer that breaks the promise: the harness must find out."""


def run(plan: Plan) -> int:
    """Run it; how many faults there were.

    Raises:
        ViolationError: a promise was broken.
    """
    settings = Settings(
        var=plan.folder, drain_s=1.0, port_base=0, database_timeout_s=2.0, **plan.parts
    )
    _prepare(settings)
    environ = {**to_environ(settings), "FAULT_EVENTS": str(plan.events)}
    if plan.careless:
        environ["FAULT_CARELESS"] = "1"
    log = plan.folder / "nemesis.jsonl"
    head: dict[str, Any] = {
        "seed": plan.seed,
        "again": plan.again,
        "python": sys.version.split()[0],
    }
    with History(log, **head) as history, ExitStack() as stack:
        workers: dict[str, Worker] = {
            role: stack.enter_context(_worker(role, plan.folder, environ))
            for role in (*(("bus",) if settings.bus == "embedded" else ()), "consumer", "producer")
        }
        if plan.careless:  # nothing else matters then
            faults = process_faults({"consumer": workers["consumer"]}, kills_alone=True)
        else:
            faults = [*process_faults({**workers, **plan.servers}), *plan.faults]
        with Nemesis(faults, seed=plan.seed, history=history, every_s=plan.every_s):
            asyncio.run(_until_nearly_all(plan, settings))
        asyncio.run(_judge(plan, settings))
    return log.read_text().count("healed")


def _prepare(settings: Settings) -> None:
    versions = settings.var / "migrations" / "versions"
    versions.mkdir(parents=True)
    (versions / "0001_lines.py").write_text(REVISION)
    for service in ("producer", "consumer"):
        migrations.upgrade(address(settings, service), versions.parent)
    write_trust(settings.key_dir, dict.fromkeys(("bus", "producer", "consumer"), RIGHTS_OF_ALL))


def _worker(role: str, folder: Path, environ: Mapping[str, str]) -> Worker:
    return Worker("tests.fault.pipeline", role, log=folder / f"{role}.log", environ=environ)


async def _until_nearly_all(plan: Plan, settings: Settings) -> None:
    """Return when all is written and most of it has arrived, whatever fails meanwhile."""
    async with asyncio.timeout(UNDER_FAULTS_S):
        while True:
            with suppress(StorageError):
                async with _opened(settings, "consumer") as consumer:
                    if await _size(consumer) >= NEARLY * plan.events:
                        break
            await asyncio.sleep(LOOK_S)
        while not (plan.folder / "done").exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(LOOK_S)


async def _judge(plan: Plan, settings: Settings) -> None:
    """Wait until all has arrived, and look whether it is right.

    A last event behind all others tells that nothing more comes, doubled or not.
    """
    history = operations([plan.folder / "producer.jsonl"])
    async with _opened(settings, "producer") as producer, _opened(settings, "consumer") as consumer:
        async with producer.transaction() as tx:
            tx.publish(_told(LAST))
        rows = [row.number for row in await _all(producer)]
        effects = await _until_the_last(consumer)
    expected = {row * PER_ROW + number for row in rows for number in range(PER_ROW)}
    check(history, NothingLost(rows), EachOnce(effects, {*expected, LAST}), again=plan.again)


async def _until_the_last(consumer: Store) -> list[int]:
    """The effects, once the last is among them or is overdue."""
    until = time.monotonic() + SETTLE_S
    while True:
        effects = [row.number for row in await _all(consumer)]
        if LAST in effects or time.monotonic() > until:
            return effects
        await asyncio.sleep(LOOK_S)


def _told(number: int) -> Event:
    return event(Revocation(session_id=str(number)), key=number % 97 + 1, topic="faults")


def _opened(settings: Settings, service: str) -> Any:
    return open_store(address(settings, service), tracer=NullTracer())


async def _all(store: Store) -> list[Any]:
    return [row async for block in store.scan(_NUMBERS) for row in block]


async def _size(store: Store) -> int:
    blocks = [block async for block in store.scan(_COUNT)]
    return int(blocks[0][0][0])


class _Writing(Background):
    """Writes rows until enough are acknowledged over all lives of the process."""

    def __init__(self, store: Store, folder: Path, events: int) -> None:
        self._store = store
        self._folder = folder
        self._path = folder / "producer.jsonl"
        self._rows = events // PER_ROW
        self._numbers = self._begin()

    def _begin(self) -> Iterator[int]:
        lives = self._folder / "lives"
        with lives.open("ab") as file:
            file.write(b".")
        if self._path.exists():
            before = operations([self._path])
            self._rows -= sum(o.outcome is Outcome.OK for o in before)
        return count(lives.stat().st_size * LIFE)

    async def _run(self) -> None:
        with History(self._path, process="producer") as history:
            async with asyncio.TaskGroup() as group:
                for _ in range(WRITERS):
                    group.create_task(self._write(history))
        (self._folder / "done").touch()

    async def _write(self, history: History) -> None:
        while self._rows > 0:
            number = next(self._numbers)
            with history.operation("write", number) as operation:
                try:
                    await self._row(number)
                except OutcomeUnknown:
                    await asyncio.sleep(RETRY_S)
                except StorageError:
                    operation.failed()
                    await asyncio.sleep(RETRY_S)
                else:
                    operation.ok()
                    self._rows -= 1

    async def _row(self, number: int) -> None:
        async with self._store.transaction() as tx:
            await tx.execute(_ADD, {"number": number})
            for each in range(number * PER_ROW, (number + 1) * PER_ROW):
                tx.publish(_told(each))


def _producer(parts: Parts) -> Service:
    writing = _Writing(parts.store, parts.settings.var, int(os.environ["FAULT_EVENTS"]))
    return Service(servicers=[], resources=[writing])


def _consumer(parts: Parts) -> Service:
    async def react(told: Event) -> Effect | None:
        number = int(Revocation.FromString(told.payload).session_id)

        async def effect(tx: Transaction) -> None:
            await tx.execute(_ADD, {"number": number})

        if "FAULT_CARELESS" not in os.environ:
            return effect
        async with parts.store.transaction() as tx:  # not with the knowledge that it was had
            await effect(tx)
        await asyncio.sleep(PONDER_S)
        return None

    subscription = Subscription(group="faults", topic="faults", react=react)
    return Service(servicers=[], subscriptions=[subscription])


async def _serve(role: str) -> None:
    settings = load()
    builds = {"producer": _producer, "consumer": _consumer}
    blueprint = (
        bus.BLUEPRINT
        if role == "bus"
        else Blueprint(name=role, build=builds[role], migrations=settings.var / "migrations")
    )
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    while True:
        try:
            async with App(blueprint, settings, DirectoryRegistry(settings.run_dir), keys=[]):
                if "READY_FD" in os.environ:
                    serving()
                    del os.environ["READY_FD"]
                await stop.wait()
                return
        except StorageError:
            await asyncio.sleep(RETRY_S)  # the database is down as well: a supervisor tries again


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as _runner:
        _runner.run(_serve(sys.argv[1]))
