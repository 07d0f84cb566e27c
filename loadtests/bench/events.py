"""Events from the outbox of one service to the effect in another one.

Three processes, as in the platform: publisher, bus and consumer are whole services
that call over Unix sockets, with the databases that they have there: the bus waits
for the disk (FULL), the others do not (NORMAL). The measuring process is the
consumer's. `python -m loadtests.bench.events bus|publisher` is one of the others, with
the settings of its environment; it says when it serves and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
import uvloop

from engine.mesh.v1.event_pb2 import Event
from engine.mesh.v1.trust_pb2 import Revocation
from loadtests.bench._figure import Direction, Figure
from mesh import App, Blueprint, DirectoryRegistry, Parts, Service, Settings
from mesh.bus import app as bus
from mesh.events import Effect, Subscription, event
from mesh.service import RIGHTS_OF_ALL
from mesh.settings import PREFIX, load, to_environ
from mesh.storage import Store, Transaction, address, migrations, open_store
from mesh.telemetry import NullTracer
from mesh.tokens import write_trust

if TYPE_CHECKING:
    from loadtests.bench import Run

BACKLOG, QUICK_BACKLOG = 200_000, 20_000
BAR_EVENTS_PER_S: Final = 8_000
RATE_PER_S: Final = 200
LATENCY_S, QUICK_LATENCY_S = 20.0, 3.0
BAR_LATENCY_MS: Final = 100
KEYS: Final = 10_000
PER_TRANSACTION: Final = 1_000
LOOK_S: Final = 0.05

REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "effect",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("key", sa.String(128), nullable=False),
    )
"""
EFFECT = sa.table("effect", sa.column("number"), sa.column("key"))
_INSERT = sa.insert(EFFECT)


def figures(run: Run) -> Iterator[Figure]:
    """The figures of this suite."""
    backlog = QUICK_BACKLOG if run.quick else BACKLOG
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        rate = runner.run(events_per_s(backlog))
        waits_ms = runner.run(_latencies(QUICK_LATENCY_S if run.quick else LATENCY_S))
    yield Figure(
        name=f"outbox → bus → consumer with inbox, backlog of {backlog:,}",
        value=rate,
        unit="events/s",
        bar=BAR_EVENTS_PER_S,
        direction=Direction.AT_LEAST,
        holds=rate >= BAR_EVENTS_PER_S,
        note="three processes",
    )
    p99 = quantiles(waits_ms, n=100)[98]
    yield Figure(
        name=f"published → effect committed, p99 at {RATE_PER_S} events/s, open loop",
        value=p99,
        unit="ms",
        bar=BAR_LATENCY_MS,
        direction=Direction.AT_MOST,
        holds=p99 <= BAR_LATENCY_MS,
    )
    yield run.report("published → effect committed, median", quantiles(waits_ms, n=2)[0], "ms")


@dataclass(slots=True)
class _Consumer:
    """A service that inserts a row for each event; `done` is set when all are committed.

    With `timed`, `waits_s` has for each event the seconds since its own commit.
    """

    expected: int
    timed: bool = False
    had: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)
    waits_s: list[float] = field(default_factory=list)
    _noting: set[asyncio.Task[None]] = field(default_factory=set)
    _store: Store | None = None

    def build(self, parts: Parts) -> Service:
        self._store = parts.store
        subscription = Subscription(group="bench", topic="bench", react=self._react)
        return Service(servicers=[], subscriptions=[subscription])

    async def effects(self) -> int:
        """How many effects the database has."""
        assert self._store is not None
        (row,) = await self._store.fetch_all(sa.select(sa.func.count()).select_from(EFFECT))
        return int(row[0])

    async def _react(self, told: Event) -> Effect:
        number = int(Revocation.FromString(told.payload).session_id)

        async def effect(tx: Transaction) -> None:
            await tx.execute(_INSERT, {"number": number, "key": told.key})
            self.had += 1
            if self.timed or self.had == self.expected:
                task = asyncio.create_task(self._note(told, last=self.had == self.expected))
                self._noting.add(task)
                task.add_done_callback(self._noting.discard)

        return effect

    async def _note(self, told: Event, *, last: bool) -> None:
        # An empty transaction shares the commit of the effect, or has the one after it.
        assert self._store is not None
        async with self._store.transaction():
            pass
        self.waits_s.append((time.time_ns() - told.time.ToNanoseconds()) / 1e9)
        if last:
            self.done.set()


async def events_per_s(count: int, **parts: Any) -> float:
    """Events a second from the start of the publisher, which has them all in its outbox.

    Args:
        count: events.
        parts: settings that name other parts than the embedded ones.
    """
    async with _folder(**parts) as (settings, environ), AsyncExitStack() as others:
        await _fill(settings, count)
        consumer = _Consumer(expected=count)
        if settings.bus == "embedded":
            await others.enter_async_context(_process(environ, "bus"))
        async with _serving("consumer", consumer.build, settings):
            async with _process(environ, "publisher"):
                began = perf_counter()
                await consumer.done.wait()
                # An effect whose transaction was rolled back is applied again.
                while (effects := await consumer.effects()) < count:  # noqa: ASYNC110
                    await asyncio.sleep(LOOK_S)
                took = perf_counter() - began
            assert effects == count, "each event had its effect once"
    return count / took


async def _latencies(seconds: float) -> list[float]:
    """Milliseconds from publishing to the committed effect, with events on a fixed schedule."""
    count = int(RATE_PER_S * seconds)
    async with _folder() as (settings, environ):
        consumer = _Consumer(expected=count, timed=True)
        async with (
            _process(environ, "bus"),
            _serving("consumer", consumer.build, settings),
            _process(environ, "publisher", str(count)),
        ):
            await consumer.done.wait()
    return [wait_s * 1e3 for wait_s in consumer.waits_s]


def _told(number: int) -> Event:
    return event(Revocation(session_id=str(number)), key=number % KEYS + 1, topic="bench")


async def _fill(settings: Settings, count: int) -> None:
    place = address(settings, "publisher")
    migrations.upgrade(place, settings.var / "migrations")
    async with open_store(place, tracer=NullTracer()) as store:
        for start in range(0, count, PER_TRANSACTION):
            async with store.transaction() as tx:
                for number in range(start, min(start + PER_TRANSACTION, count)):
                    tx.publish(_told(number))


async def _tell(store: Store, count: int) -> None:
    """Publish `count` events at a fixed rate, whatever becomes of them."""

    async def one(number: int) -> None:
        async with store.transaction() as tx:
            tx.publish(_told(number))

    async with asyncio.TaskGroup() as group:
        began = perf_counter()
        for number in range(count):
            await asyncio.sleep(began + number / RATE_PER_S - perf_counter())
            group.create_task(one(number))


def _serving(name: str, build: Callable[[Parts], Service], settings: Settings) -> App:
    blueprint = Blueprint(name=name, build=build, migrations=settings.var / "migrations")
    return App(blueprint, settings, DirectoryRegistry(settings.run_dir), keys=[])


@asynccontextmanager
async def _folder(**parts: Any) -> AsyncIterator[tuple[Settings, Mapping[str, str]]]:
    """Settings on a folder in which the three trust one another, and the same for a process."""
    with tempfile.TemporaryDirectory(prefix="engine-", dir="/tmp") as name:
        folder = Path(name)
        versions = folder / "migrations" / "versions"
        versions.mkdir(parents=True)
        (versions / "0001_effects.py").write_text(REVISION)
        settings = Settings(var=folder, drain_s=1.0, port_base=0, **parts)
        write_trust(
            settings.key_dir, dict.fromkeys(("bus", "publisher", "consumer"), RIGHTS_OF_ALL)
        )
        others = {k: v for k, v in os.environ.items() if not k.startswith(PREFIX)}
        yield settings, {**others, **to_environ(settings)}


@asynccontextmanager
async def _process(environ: Mapping[str, str], *arguments: str) -> AsyncIterator[None]:
    """One of the others, once it serves."""
    command = (sys.executable, "-m", "loadtests.bench.events", *arguments)
    child = await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        await child.stdout.readline()
        yield
    finally:
        child.stdin.close()
        await child.wait()


async def _bus() -> None:
    settings = load()
    async with App(bus.BLUEPRINT, settings, DirectoryRegistry(settings.run_dir), keys=[]):
        await _until_told()


async def _publisher(count: str = "0") -> None:
    stores: list[Store] = []

    def build(parts: Parts) -> Service:
        stores.append(parts.store)
        return Service(servicers=[])

    async with _serving("publisher", build, load()), asyncio.TaskGroup() as group:
        group.create_task(_tell(stores[0], int(count)))
        await _until_told()


async def _until_told() -> None:
    print("serving", flush=True)
    await asyncio.to_thread(sys.stdin.read)


KINDS: Final = {"bus": _bus, "publisher": _publisher}

if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as _runner:
        kind, *more = sys.argv[1:]
        _runner.run(KINDS[kind](*more))
