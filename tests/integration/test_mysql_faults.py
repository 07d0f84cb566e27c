"""A MariaDB that is killed, restarted, paused or cut off under writing tasks.

Nothing acknowledged is lost, nothing takes effect twice, and all works again by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from google.protobuf.wrappers_pb2 import StringValue

from engine.mesh.v1.event_pb2 import Event
from loadtests.servers import MariaDb
from mesh.events import event
from mesh.storage import MySQLOptions, OutcomeUnknown, Store, StoreUnavailable
from tests.conformance.stores import MySQLPlace

pytestmark = pytest.mark.real

ENTRIES = sa.Table(
    "entry",
    sa.MetaData(),
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("task", sa.BigInteger, nullable=False),
)
TOTAL = sa.Table(
    "total",
    ENTRIES.metadata,
    sa.Column("task", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("entries", sa.BigInteger, nullable=False),
)
IMPATIENT = MySQLOptions(timeout_s=1.0)
TASKS = 12


@pytest.fixture
def server(var: Path) -> Iterator[MariaDb]:
    """A server of the test's own, to do harm to."""
    with MariaDb(var / "db") as server:
        yield server


@pytest.fixture
def database(server: MariaDb) -> MySQLPlace:
    return MySQLPlace(server)


class Writers:
    """Tasks that write one numbered entry after another, and remember what they were told."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stopped = False
        self.acknowledged: set[int] = set()
        self.unknown: set[int] = set()
        self.failures = 0

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """They work while the block runs."""
        async with asyncio.TaskGroup() as tasks:
            for task in range(TASKS):
                tasks.create_task(self._work(task))
            yield
            self._stopped = True

    async def more(self, count: int) -> None:
        """Return when so many more were acknowledged."""
        goal = len(self.acknowledged) + count
        async with asyncio.timeout(60):
            while len(self.acknowledged) < goal:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def failed(self, count: int) -> None:
        """Return when so many more failed."""
        goal = self.failures + count
        async with asyncio.timeout(60):
            while self.failures < goal:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def _work(self, task: int) -> None:
        number = task
        while not self._stopped:
            number += TASKS
            try:
                await self._write(number, task)
            except OutcomeUnknown:
                self.unknown.add(number)
                self.failures += 1
            except StoreUnavailable:
                self.failures += 1
                await asyncio.sleep(0.01)
            else:
                self.acknowledged.add(number)

    async def _write(self, number: int, task: int) -> None:
        """Read, then write what follows from it: wrong as soon as two do so at once."""
        async with self._store.transaction() as tx:
            of_task = sa.select(TOTAL.c.entries).where(TOTAL.c.task == task)
            ((entries,),) = await tx.fetch_all(of_task)
            await tx.execute(sa.insert(ENTRIES), {"id": number, "task": task})
            counted = sa.update(TOTAL).where(TOTAL.c.task == task).values(entries=entries + 1)
            await tx.execute(counted)
            tx.publish(event(StringValue(value=f"{number}"), topic="entries"))


async def prepared(database: MySQLPlace, store: Store) -> None:
    await database.create(store, ENTRIES, TOTAL)
    async with store.transaction() as tx:
        await tx.execute(sa.insert(TOTAL), [{"task": n, "entries": 0} for n in range(TASKS)])


async def check(store: Store, writers: Writers) -> None:
    """What was acknowledged is there once, with its event, and little else."""
    kept = {row.id async for block in store.scan(sa.select(ENTRIES)) for row in block}
    assert writers.acknowledged <= kept <= writers.acknowledged | writers.unknown
    totals = await store.fetch_all(sa.select(TOTAL))
    assert sum(row.entries for row in totals) == len(kept)
    published: list[int] = []
    after = 0
    while found := await store.outbox.read(1_000, after=after):
        after = found[-1][0]
        published += [
            int(StringValue.FromString(Event.FromString(raw).payload).value) for _, raw in found
        ]
    assert sorted(published) == sorted(kept)


def kill(server: MariaDb) -> None:
    server.kill()
    server.start()


HARM: dict[str, Callable[[MariaDb], None]] = {"killed": kill, "restarted": MariaDb.restart}


@pytest.mark.parametrize("harm", HARM)
async def test_nothing_is_lost_or_doubled_when_the_server_ends(
    server: MariaDb, database: MySQLPlace, harm: str
) -> None:
    """Three times under load; the tasks are told, and go on when it is back."""
    async with database.open(options=IMPATIENT) as store:
        await prepared(database, store)
        writers = Writers(store)
        async with writers.working():
            for _ in range(3):
                await writers.more(300)
                await asyncio.to_thread(HARM[harm], server)
            await writers.more(300)
        assert writers.failures, "the harm came while they worked"
        await check(store, writers)


async def test_a_paused_server_is_given_up_and_found_again(
    server: MariaDb, database: MySQLPlace
) -> None:
    """Who waits is told in bounded time; nothing is lost or doubled."""
    async with database.open(options=IMPATIENT) as store:
        await prepared(database, store)
        writers = Writers(store)
        async with writers.working():
            await writers.more(300)
            server.pause()
            await writers.failed(TASKS)
            server.resume()
            await writers.more(300)
        await check(store, writers)


class Proxy:
    """Stands between store and server; it can swallow the answer to the next commit."""

    def __init__(self, server: MariaDb) -> None:
        self._target = server.address
        self._serving: set[asyncio.Task[None] | None] = set()
        self.cutting = False
        self.deaf = False

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Its port."""
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as listener:
            yield listener.sockets[0].getsockname()[1]
        async with asyncio.timeout(30):
            await asyncio.gather(*(task for task in self._serving if task is not None))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.add(asyncio.current_task())
        if self.deaf:
            await ended(writer)
            return
        from_server, to_server = await asyncio.open_connection(*self._target)
        lost = asyncio.Event()
        ways = [
            asyncio.create_task(self._up(reader, to_server, lost)),
            asyncio.create_task(self._down(from_server, writer, lost)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        await ended(to_server)
        await ended(writer)

    async def _up(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lost: asyncio.Event
    ) -> None:
        while data := await reader.read(65_536):
            if self.cutting and data.endswith(b"COMMIT"):
                self.cutting = False
                lost.set()
            writer.write(data)

    async def _down(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lost: asyncio.Event
    ) -> None:
        while data := await reader.read(65_536):
            if lost.is_set():
                return
            writer.write(data)


async def ended(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def test_a_lost_answer_to_a_commit_is_settled(server: MariaDb, database: MySQLPlace) -> None:
    """The store asks the database: the transaction was kept, and its task hears so."""
    proxy = Proxy(server)
    async with proxy.listening() as port:
        database.address = replace(database.address, port=port)
        async with database.open(options=IMPATIENT) as store:
            await prepared(database, store)
            proxy.cutting = True
            async with store.transaction() as tx:
                await tx.execute(sa.insert(ENTRIES), {"id": 1, "task": 0})
            assert not proxy.cutting, "the answer was lost"
            assert [row.id for row in await store.fetch_all(sa.select(ENTRIES))] == [1]
            async with store.transaction() as tx:
                await tx.execute(sa.insert(ENTRIES), {"id": 2, "task": 0})


async def test_who_cannot_ask_is_told_that_the_outcome_is_unknown(
    server: MariaDb, database: MySQLPlace
) -> None:
    """After a bounded time; it was kept here, and the next transaction works."""
    proxy = Proxy(server)

    async def write(store: Store) -> None:
        async with store.transaction() as tx:
            await tx.execute(sa.insert(ENTRIES), {"id": 1, "task": 0})
            proxy.cutting = proxy.deaf = True

    async with proxy.listening() as port:
        database.address = replace(database.address, port=port)
        async with database.open(options=IMPATIENT) as store:
            await prepared(database, store)
            with pytest.raises(OutcomeUnknown):
                await write(store)
            proxy.deaf = False
            assert [row.id for row in await store.fetch_all(sa.select(ENTRIES))] == [1]
            async with store.transaction() as tx:
                await tx.execute(sa.insert(ENTRIES), {"id": 2, "task": 0})
