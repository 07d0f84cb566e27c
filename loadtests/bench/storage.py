"""Suite `storage`: what the store and the cache add to their drivers, and events on real parts.

It starts a MariaDB and a Redis of its own (`make setup-real`); both wait for the disk as in
production: MariaDB at each commit, Redis at each command that writes.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, Final

import asyncmy
import redis.asyncio
import sqlalchemy as sa
import uvloop
from google.protobuf.wrappers_pb2 import StringValue

from engine.mesh.v1.trust_pb2 import Revocation
from loadtests.bench import Figure, Run
from loadtests.bench._figure import Direction
from loadtests.bench.events import events_per_s
from loadtests.servers import MariaDb, Redis
from mesh.cache import Cached
from mesh.events import event
from mesh.redis import RedisCache, RedisClient
from mesh.settings import Settings
from mesh.storage import MySQLAddress, address, migrations, open_store
from mesh.telemetry import NullTracer

BACKLOG, QUICK_BACKLOG = 200_000, 20_000
READS: Final = 200
CALLERS: Final = 64
KEYS: Final = 256
VALUE: Final = StringValue(value="x" * 200)

CLIENTS: Final = sa.Table(
    "client",
    sa.MetaData(),
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("branch_id", sa.BigInteger, nullable=False),
    sa.Column("grade", sa.String(20), nullable=False),
    sa.Column("create_us", sa.BigInteger, nullable=False),
)
REVISION: Final = """
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "client",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("branch_id", sa.BigInteger, nullable=False),
        sa.Column("grade", sa.String(20), nullable=False),
        sa.Column("create_us", sa.BigInteger, nullable=False),
    )
"""
_POINT: Final = sa.select(CLIENTS).where(CLIENTS.c.id == sa.bindparam("id"))
_ADD: Final = sa.insert(CLIENTS)
_COUNT: Final = (
    sa.update(CLIENTS)
    .where(CLIENTS.c.id == sa.bindparam("counter"))
    .values(branch_id=CLIENTS.c.branch_id + 1)
)
_TEXT: Final = "SELECT id, branch_id, grade, create_us FROM client WHERE id = "

Read = Callable[[int], Awaitable[Any]]


def figures(run: Run) -> Iterator[Figure]:
    """The figures of this suite."""
    with (
        tempfile.TemporaryDirectory(prefix="engine-", dir="/tmp") as name,
        MariaDb(Path(name) / "db") as mariadb,
        Redis(Path(name) / "redis") as server,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        real = Settings(var=Path(name), database_url=mariadb.url, redis_url=server.url)
        yield from _point_reads(run, runner, real)
        yield from _producers(run, runner, real)
        yield _cached(run, runner, server)
        yield from _events(run, runner, mariadb, server)


def _point_reads(run: Run, runner: asyncio.Runner, real: Settings) -> Iterator[Figure]:
    place = address(real, "reads")
    assert isinstance(place, MySQLAddress)
    store = runner.run(_open(place, real))
    driver = runner.run(_driver(place))
    cost = _Cost(run, runner)

    async def bare(number: int) -> Any:
        async with driver.cursor() as cursor:
            await cursor.execute(f"{_TEXT}%s", (number,))  # the bare driver's statement
            return await cursor.fetchall()

    async def hot(number: int) -> Any:
        return await store.fetch_all(_POINT, {"id": number})

    async def general(number: int) -> Any:
        return await store.fetch_all(sa.select(CLIENTS).where(CLIENTS.c.id == number))

    ours, peer = cost.of(hot), cost.of(bare)
    yield _at_most(run, "hot statement on asyncmy", (ours, peer), 1.5)
    yield _at_most(run, "statement built anew, on asyncmy", (cost.of(general), peer), 6)
    yield run.report("… hot statement", ours() * 1e6, "µs of CPU")
    runner.run(driver.ensure_closed())
    runner.run(store.__aexit__(None, None, None))
    yield _sqlite(run, runner, cost, real.var / "reads.db")


def _sqlite(run: Run, runner: asyncio.Runner, cost: _Cost, path: Path) -> Figure:
    store = runner.run(_open(path, Settings(var=path.parent)))
    with closing(sqlite3.connect(path, isolation_level=None)) as driver:

        async def bare(number: int) -> Any:
            return driver.execute(f"{_TEXT}?", (number,)).fetchall()

        async def hot(number: int) -> Any:
            return await store.fetch_all(_POINT, {"id": number})

        figure = _at_most(run, "hot statement on sqlite3", (cost.of(hot), cost.of(bare)), 4)
    runner.run(store.__aexit__(None, None, None))
    return figure


def _at_most(
    run: Run, name: str, reads: tuple[Callable[[], float], Callable[[], float]], bar: float
) -> Figure:
    ours, peer = reads
    return run.ratio(
        f"point read, CPU, {name} ÷ driver",
        ours,
        peer,
        against="the bare driver",
        bar=bar,
        direction=Direction.AT_MOST,
    )


class _Cost:
    """Measures the processor time of this process that one read takes, in seconds."""

    def __init__(self, run: Run, runner: asyncio.Runner) -> None:
        self._run = run
        self._runner = runner

    def of(self, read: Read) -> Callable[[], float]:
        async def stretch() -> float:
            done, began, cpu = 0, perf_counter(), process_time()
            while perf_counter() - began < self._run.stretch_s:
                for number in range(READS):
                    await read(number % KEYS + 1)
                done += READS
            return (process_time() - cpu) / done

        return lambda: self._runner.run(stretch())


def _producers(run: Run, runner: asyncio.Runner, real: Settings) -> Iterator[Figure]:
    """Transactions a second of 64 tasks, with an event and without.

    Judged is a transaction of two statements, a row and a counter: less is not worth an event.
    """
    store = runner.run(_open(address(real, "producers"), real))
    turn = iter(range(1_000, 1 << 62))

    def rate(statements: int, *, telling: bool) -> Callable[[], float]:
        async def one() -> None:
            number = next(turn)
            async with store.transaction() as tx:
                await tx.execute(_ADD, {"id": number, "branch_id": 1, "grade": "", "create_us": 1})
                if statements > 1:
                    await tx.execute(_COUNT, {"counter": number % KEYS + 1})
                if telling:
                    tx.publish(event(Revocation(session_id="s"), key=number, topic="bench"))

        return lambda: runner.run(_per_s(run, one))

    yield run.ratio(
        f"transactions/s with one event ÷ without, {CALLERS} tasks, MariaDB",
        rate(2, telling=True),
        rate(2, telling=False),
        against="the same two statements without the event",
        bar=0.8,
        direction=Direction.AT_LEAST,
    )
    yield run.ratio(
        "… of transactions with one statement",
        rate(1, telling=True),
        rate(1, telling=False),
        against="the same statement without the event",
    )
    yield run.report("… two statements and an event", rate(2, telling=True)(), "transactions/s")
    runner.run(store.__aexit__(None, None, None))


def _cached(run: Run, runner: asyncio.Runner, server: Redis) -> Figure:
    """Reads a second of 64 callers, all of them in the cache."""
    client = redis.asyncio.Redis.from_url(server.url, max_connections=CALLERS)
    engine = RedisClient(server.url, connections=CALLERS)
    runner.run(engine.__aenter__())
    shared = RedisCache(engine, service="bench")
    cached = Cached(shared, _load, of=StringValue, name="clients", ttl_s=600)
    turn = iter(range(1 << 62))

    async def ours() -> None:
        await cached.get(f"k{next(turn) % KEYS}")

    async def bare() -> None:
        await client.get(f"bare:{next(turn) % KEYS}")

    async def fill() -> None:
        for number in range(KEYS):
            await cached.get(f"k{number}")
            await client.set(f"bare:{number}", VALUE.SerializeToString())

    runner.run(fill())
    figure = run.ratio(
        f"cached reads/s, {CALLERS} callers ÷ bare GET",
        lambda: runner.run(_per_s(run, ours)),
        lambda: runner.run(_per_s(run, bare)),
        against="redis-py GET on a pool, hiredis",
        bar=0.6,
        direction=Direction.AT_LEAST,
    )
    runner.run(client.aclose())
    runner.run(engine.__aexit__(None, None, None))
    return figure


async def _load(_key: str) -> StringValue:
    return VALUE


async def _per_s(run: Run, act: Callable[[], Awaitable[None]]) -> float:
    done = 0
    until = perf_counter() + run.stretch_s

    async def caller() -> None:
        nonlocal done
        while perf_counter() < until:
            await act()
            done += 1

    began = perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(CALLERS):
            group.create_task(caller())
    return done / (perf_counter() - began)


def _events(run: Run, runner: asyncio.Runner, mariadb: MariaDb, server: Redis) -> Iterator[Figure]:
    count = QUICK_BACKLOG if run.quick else BACKLOG
    rate = runner.run(
        events_per_s(count, database_url=mariadb.url, redis_url=server.url, bus="redis")
    )
    yield Figure(
        name=f"outbox → relay → consumer with inbox, MariaDB and Redis Streams, {count:,}",
        value=rate,
        unit="events/s",
        bar=3_000,
        direction=Direction.AT_LEAST,
        holds=rate >= 3_000,
        note="two processes and the servers",
    )


async def _open(place: Path | MySQLAddress, settings: Settings) -> Any:
    """An open store with the table and rows in it."""
    versions = settings.var / "migrations" / "versions"
    versions.mkdir(parents=True, exist_ok=True)
    (versions / "0001_clients.py").write_text(REVISION)
    await asyncio.to_thread(migrations.upgrade, place, versions.parent)
    store: Any = open_store(place, tracer=NullTracer())
    await store.__aenter__()
    rows = [
        {"id": number, "branch_id": number % 7, "grade": "GOLD", "create_us": number}
        for number in range(1, KEYS + 1)
    ]
    async with store.transaction() as tx:
        await tx.execute(_ADD, rows)
    return store


async def _driver(place: MySQLAddress) -> Any:
    return await asyncmy.connect(
        host=place.host, port=place.port, user=place.user, db=place.database, autocommit=True
    )
