"""Statements that are transactions of their own, on a real MariaDB and while harm is done to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from loadtests.proxy import Proxy, Way
from loadtests.servers import MariaDb
from mesh.storage import MySQLOptions, OutcomeUnknown, Store, StoreUnavailable
from tests.conformance.stores import MySQLPlace

pytestmark = pytest.mark.real

ENTRIES = sa.Table(
    "entry",
    sa.MetaData(),
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
)
ADD = sa.insert(ENTRIES)
IMPATIENT = MySQLOptions(timeout_s=1.0)
TASKS = 8


@pytest.fixture
def database(mariadb: MariaDb) -> MySQLPlace:
    return MySQLPlace(mariadb)


@pytest.fixture
def server(var: Path) -> Iterator[MariaDb]:
    """A server of the test's own, to do harm to."""
    with MariaDb(var / "db") as server:
        yield server


@asynccontextmanager
async def opened(database: MySQLPlace, options: MySQLOptions = IMPATIENT) -> AsyncIterator[Store]:
    async with database.open(options=options) as store:
        await database.create(store, ENTRIES)
        yield store


async def numbers(store: Store) -> set[int]:
    return {row.id for row in await store.fetch_all(sa.select(ENTRIES))}


async def test_it_takes_no_turn(database: MySQLPlace) -> None:
    """It is durable while another process has the turn, and while many wait for it."""
    async with opened(database) as store, database.open() as other:
        async with other.transaction() as tx:
            await tx.execute(ADD, {"id": 1})
            assert await store.execute(ADD, {"id": 2}) == 1
            assert await numbers(other) == {2}
        assert await numbers(store) == {1, 2}


async def test_it_is_one_round_trip(database: MySQLPlace) -> None:
    """The server hears the statement and nothing else, however often it is executed."""
    async with opened(database) as store:
        await store.execute(ADD, {"id": 0})
        database.query("SET GLOBAL log_output = 'TABLE', GLOBAL general_log = ON")
        try:
            for number in range(1, 5):
                await store.execute(ADD, {"id": number})
        finally:
            database.query("SET GLOBAL general_log = OFF")
        heard = database.query(
            "SELECT argument FROM mysql.general_log WHERE thread_id IN (SELECT thread_id FROM "
            "mysql.general_log WHERE argument LIKE 'INSERT INTO entry%') ORDER BY event_time"
        )
        database.query("TRUNCATE mysql.general_log")
    assert heard == [[f"INSERT INTO entry (id) VALUES ({number})"] for number in range(1, 5)]


async def test_who_waits_for_a_lock_is_told_that_nothing_was_kept(database: MySQLPlace) -> None:
    """A row that another transaction wrote and does not commit stops it for a bounded time."""
    async with opened(database, MySQLOptions(timeout_s=5.0)) as store, database.open() as other:
        async with other.transaction() as tx:
            await tx.execute(ADD, {"id": 1})
            with pytest.raises(StoreUnavailable, match="LOCK_WAIT") as caught:
                await store.execute(ADD, {"id": 1})
        assert not isinstance(caught.value, OutcomeUnknown)
        assert await store.execute(ADD, {"id": 2}) == 1


async def test_more_than_there_are_connections_wait_their_turn(database: MySQLPlace) -> None:
    """A hundred at once need no more than the pool has."""
    async with opened(database, MySQLOptions(pool=3)) as store:
        await asyncio.gather(*(store.execute(ADD, {"id": number}) for number in range(100)))
        assert await numbers(store) == set(range(100))


async def test_an_answer_that_does_not_come_leaves_the_outcome_unknown(
    database: MySQLPlace, mariadb: MariaDb
) -> None:
    """After a bounded time; it was kept here, and the next one works."""
    with Proxy(mariadb.address) as proxy:
        database.address = replace(database.address, port=proxy.port)
        async with opened(database) as store:
            await store.execute(ADD, {"id": 1})
            proxy.hold(Way.BACK)
            with pytest.raises(OutcomeUnknown):
                await store.execute(ADD, {"id": 2})
            proxy.heal()
            assert await numbers(store) == {1, 2}
            assert await store.execute(ADD, {"id": 3}) == 1


async def test_who_was_cancelled_leaves_a_connection_that_nobody_uses(
    database: MySQLPlace, mariadb: MariaDb
) -> None:
    """The answer that it did not wait for is not taken for another's."""
    with Proxy(mariadb.address) as proxy:
        database.address = replace(database.address, port=proxy.port)
        async with opened(database, MySQLOptions(timeout_s=30.0)) as store:
            await store.execute(ADD, {"id": 1})
            proxy.hold(Way.BACK)
            task = asyncio.create_task(store.execute(sa.delete(ENTRIES)))
            while database.query("SELECT id FROM entry"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            proxy.heal()
            assert await store.execute(ADD, {"id": 2}) == 1
            assert await numbers(store) == {2}


async def test_a_server_that_is_away_is_told_from_one_that_went_away(server: MariaDb) -> None:
    """Nothing was sent to it: nothing was kept. When it is back, all works at once."""
    async with opened(MySQLPlace(server)) as store:
        await asyncio.gather(*(store.execute(ADD, {"id": number}) for number in range(TASKS)))
        await asyncio.to_thread(server.kill)
        with pytest.raises(StoreUnavailable) as caught:
            await store.execute(ADD, {"id": 100})
        assert not isinstance(caught.value, OutcomeUnknown)
        await asyncio.to_thread(server.start)
        assert await store.execute(ADD, {"id": 100}) == 1
        await asyncio.to_thread(server.restart)
        assert await store.execute(ADD, {"id": 101}) == 1
        assert await numbers(store) == {*range(TASKS), 100, 101}


async def test_nothing_acknowledged_is_lost_when_the_server_is_killed(server: MariaDb) -> None:
    """Three times under load; who was told that nothing was kept has nothing there."""
    acknowledged: set[int] = set()
    unknown: set[int] = set()
    is_over = False

    async def write(store: Store, number: int) -> None:
        while not is_over:
            number += TASKS
            try:
                await store.execute(ADD, {"id": number})
            except OutcomeUnknown:
                unknown.add(number)
            except StoreUnavailable:
                await asyncio.sleep(0.01)
            else:
                acknowledged.add(number)

    async def more(count: int) -> None:
        goal = len(acknowledged) + count
        async with asyncio.timeout(60):
            while len(acknowledged) < goal:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async with opened(MySQLPlace(server)) as store:
        async with asyncio.TaskGroup() as tasks:
            for number in range(TASKS):
                tasks.create_task(write(store, number))
            for _ in range(3):
                await more(300)
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)
            await more(300)
            is_over = True
        kept = await numbers(store)
    assert acknowledged <= kept <= acknowledged | unknown
    assert len(unknown) <= 3 * TASKS
