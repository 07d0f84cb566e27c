"""The store on a real MariaDB: what only a server can do wrong, or right."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa

from loadtests.servers import MariaDb
from mesh.storage import (
    IntegrityViolation,
    MySQLOptions,
    StatementTooSlow,
    StorageError,
    Store,
    StoreUnavailable,
)
from mesh.storage._mysql._store import MySQLStore
from mesh.telemetry import Meters
from tests.conformance.stores import MySQLPlace

pytestmark = pytest.mark.real

THINGS = sa.Table(
    "thing",
    sa.MetaData(),
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(40), nullable=False),
    sa.Column("text", sa.Text),
    sa.Column("raw", sa.LargeBinary),
    sa.Column("key", sa.LargeBinary(32)),
    sa.Column("yes", sa.Boolean),
    sa.Column("share", sa.Float),
    sa.UniqueConstraint("name", "key", name="thing_name"),
)
ADD = sa.insert(THINGS)
ALL = sa.select(THINGS).order_by(THINGS.c.id)
ONE = sa.select(THINGS.c.id).where(THINGS.c.id == sa.bindparam("id"))
NAMED = sa.select(THINGS.c.id).where(THINGS.c.name == sa.bindparam("name")).order_by(THINGS.c.id)

HARD = (
    "",
    "plain",
    "100 % %s %(x)s %%",
    "back\\slash \\' \\0",
    "quotes ' \" ` ; -- /* */ #",
    "\x00\x1a\r\n\t",
    "钱 😀 é e\u0301",
    "ends in a space ",
)


@pytest.fixture
def database(mariadb: MariaDb) -> MySQLPlace:
    return MySQLPlace(mariadb)


@pytest.fixture
async def store(database: MySQLPlace) -> AsyncIterator[MySQLStore]:
    async with database.open() as opened:
        await database.create(opened, THINGS)
        yield opened


async def add(store: Store, number: int, name: str | None = None, **values: Any) -> None:
    async with store.transaction() as tx:
        await tx.execute(
            ADD, {"id": number, "name": f"{number}" if name is None else name, **values}
        )


async def numbers(store: Store) -> list[int]:
    return [row.id for row in await store.fetch_all(ALL)]


async def test_values_survive_the_way_there_and_back(store: MySQLStore) -> None:
    """Whatever characters and bytes they have; nothing is cut, rounded or read as SQL."""
    for number, text in enumerate(HARD):
        values = {
            "text": text * 2_000,
            "raw": text.encode() + bytes(range(256)) * 300,
            "key": bytes([number, 0, 255, 39, 92]),
            "yes": bool(number % 2),
            "share": 0.1 + number / 3,
        }
        await add(store, number, text, **values)
        row = (await store.fetch_all(ALL))[number]
        assert {name: getattr(row, name) for name in values} == values
        assert row.name == text
        assert [row.id for row in await store.fetch_all(NAMED, {"name": text})] == [number]
    await add(store, 100, "null", text=None, raw=None, yes=None, share=None)
    row = (await store.fetch_all(ALL))[-1]
    assert (row.text, row.raw, row.yes, row.share) == (None, None, None, None)


async def test_strings_are_compared_as_bytes(store: MySQLStore) -> None:
    """As in SQLite: capitals, accents and spaces at the end tell apart."""
    for number, name in enumerate(("a", "A", "á", "a ")):
        await add(store, number, name, key=b"")
    for number, name in enumerate(("a", "A", "á", "a ")):
        assert [row.id for row in await store.fetch_all(NAMED, {"name": name})] == [number]


async def test_sums_are_whole_numbers(store: MySQLStore) -> None:
    """The server answers decimals; services count in whole numbers."""
    for number in (1, 2):
        await add(store, number)
    ((total,),) = await store.fetch_all(sa.select(sa.func.sum(THINGS.c.id)))
    assert (total, type(total)) == (3, int)


@pytest.mark.parametrize(
    "value", [2**63, -(2**63) - 1, float("nan"), float("-inf"), "\ud800", object(), (1, 2)]
)
async def test_what_no_column_takes_is_refused(store: MySQLStore, value: object) -> None:
    """Before the server sees it; it is no answer to find nothing."""
    with pytest.raises(StorageError):
        await store.fetch_all(ONE, {"id": value})


async def test_errors_carry_no_values(store: MySQLStore) -> None:
    """Neither their text nor what they come from: logs show both."""
    secret = "secret" * 20
    refused = (
        sa.text(f"SELECT nothing '{secret}'"),
        sa.text(f"SELECT * FROM thing WHERE id = '{secret}' COLLATE nowhere"),
    )
    for statement in refused:
        with pytest.raises(StorageError) as caught:
            await store.fetch_all(statement)
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__
    with pytest.raises(StorageError, match="DATA_TOO_LONG") as caught:
        await add(store, 1, secret)
    assert "secret" not in str(caught.value)


async def test_a_violation_names_the_columns_of_its_key(store: MySQLStore) -> None:
    """Of the primary key, and of one with a name; and the column that must not be empty."""
    await add(store, 1, "one", key=b"k")
    for values, kind, columns in (
        ({"id": 1, "name": "two"}, "unique", ("thing.id",)),
        ({"id": 2, "name": "one", "key": b"k"}, "unique", ("thing.name", "thing.key")),
        ({"id": 2, "name": None}, "not_null", ("thing.name",)),
        ({"id": 2}, "not_null", ("thing.name",)),
    ):
        with pytest.raises(IntegrityViolation) as caught:
            async with store.transaction() as tx:
                await tx.execute(ADD, values)
        assert (caught.value.kind, caught.value.columns) == (kind, columns)


async def test_many_sets_change_what_each_of_them_says(store: MySQLStore) -> None:
    """Also where the statement is not an insert; the count is of the rows that were hit."""
    update = (
        sa.update(THINGS)
        .where(THINGS.c.id == sa.bindparam("number"))
        .values(text=sa.bindparam("new"))
    )
    async with store.transaction() as tx:
        await tx.execute(ADD, [{"id": n, "name": f"{n}"} for n in range(1_200)])
        sets = [{"number": n, "new": f"{n} %s"} for n in range(1_300)]
        assert await tx.execute(update, sets) == 1_200
        assert await tx.execute(update, sets) == 1_200, "matched, though not changed"
    assert [row.text for row in await store.fetch_all(ALL)] == [f"{n} %s" for n in range(1_200)]


async def test_tables_are_not_changed_within_a_transaction(store: MySQLStore) -> None:
    """The server would commit what was before it, and let the turn go."""
    with pytest.raises(StorageError, match="migrations"):
        async with store.transaction() as tx:
            await tx.execute(sa.schema.CreateIndex(sa.Index("thing_share", THINGS.c.share)))
    THINGS.indexes.clear()

    async def change() -> None:
        async with store.transaction() as tx:
            await tx.execute(sa.text("CREATE TABLE other (id INT PRIMARY KEY)"))
            await tx.execute(ADD, {"id": 1, "name": "after"})

    with pytest.raises(StoreUnavailable):
        await change()
    await add(store, 2)
    assert await numbers(store) == [2]


async def test_statements_of_one_unit_that_come_at_once_are_run_in_turn(store: MySQLStore) -> None:
    """Each answers with its own rows."""
    async with store.transaction() as tx:
        await tx.execute(ADD, [{"id": n, "name": f"{n}"} for n in range(20)])
        found = await asyncio.gather(*(tx.fetch_all(ONE, {"id": n}) for n in range(20)))
    assert [[row.id for row in rows] for rows in found] == [[n] for n in range(20)]


async def test_many_open_an_empty_database_at_once(mariadb: MariaDb) -> None:
    """As the replicas of a service do: all of them work, and the tables are made once."""
    database = MySQLPlace(mariadb)
    stores = [database.open() for _ in range(6)]
    await asyncio.gather(*(store.__aenter__() for store in stores))
    for store in stores:
        async with store.transaction():
            pass
    await asyncio.gather(*(store.__aexit__(None, None, None) for store in stores))
    assert database.query("SELECT COUNT(*) FROM engine_turn") == [["1"]]


async def test_random_cancellations_answer_no_wrong_row(
    database: MySQLPlace, store: MySQLStore
) -> None:
    """300 reads cut off at any moment; every other read gets the row it asked for."""
    async with store.transaction() as tx:
        await tx.execute(ADD, [{"id": n, "name": f"{n}"} for n in range(200)])
    random_ = random.Random(7)
    cancelled = 0

    async def read(opened: Store, number: int) -> None:
        for _ in range(random_.randrange(1, 4)):
            rows = await opened.fetch_all(ONE, {"id": number})
            assert [row.id for row in rows] == [number]

    async with database.open(options=MySQLOptions(pool=4, timeout_s=30.0)) as opened:
        while cancelled < 300:
            tasks = [asyncio.create_task(read(opened, random_.randrange(200))) for _ in range(12)]
            await asyncio.sleep(random_.random() * 0.004)
            for task in random_.sample(tasks, 4):
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            assert {type(end) for end in ended} <= {type(None), asyncio.CancelledError}
            cancelled += sum(isinstance(end, asyncio.CancelledError) for end in ended)
        await read(opened, 1)


async def test_a_cancelled_statement_of_a_transaction_keeps_the_group(store: MySQLStore) -> None:
    """It ends before it is undone: its neighbours are kept, whenever it was cut off."""
    for delay_ms in range(8):
        first = delay_ms * 10

        async def cut(number: int) -> None:
            async with store.transaction() as tx:
                await tx.execute(ADD, {"id": number, "name": f"{number}"})
                await tx.fetch_all(sa.text("SELECT SLEEP(0.005)"))
                await asyncio.Event().wait()

        tasks = [asyncio.create_task(add(store, first))]
        tasks.append(asyncio.create_task(cut(first + 1)))
        tasks += [asyncio.create_task(add(store, first + 2))]
        await asyncio.sleep(delay_ms / 1e3)
        tasks[1].cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(end) for end in ended] == [type(None), asyncio.CancelledError, type(None)]
    assert await numbers(store) == [n for n in range(80) if n % 10 in (0, 2)]


async def test_reads_wait_for_a_connection_within_bounds(database: MySQLPlace) -> None:
    """As many as may wait do; who finds the queue full is told at once."""
    async with database.open(options=MySQLOptions(pool=2, queue_size=3, timeout_s=30.0)) as store:
        sleep = sa.text("SELECT SLEEP(0.2) AS slept")
        ended = await asyncio.gather(
            *(store.fetch_all(sleep) for _ in range(8)), return_exceptions=True
        )
        refused = [str(end) for end in ended if isinstance(end, StoreUnavailable)]
        # The store looks for old entries meanwhile, which may take a place, too.
        assert refused[:3] == ["too many wait for a connection"] * 3
        assert len(refused) <= 4
        assert await store.fetch_all(sleep)
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.fetch_all(sleep)


async def test_a_statement_that_runs_too_long_is_stopped(database: MySQLPlace) -> None:
    """By the server; the connection is as good as before, and the slow log names no values."""
    meters = Meters()
    options = MySQLOptions(timeout_s=0.5, pool=1, slow_statement_s=0.3)
    endless = sa.text("SELECT COUNT(*) FROM seq_1_to_1000000 a, seq_1_to_1000000 b WHERE :x <> ''")
    async with database.open(options=options, meters=meters) as store:
        with pytest.raises(StatementTooSlow):
            await store.fetch_all(endless, {"x": "secret"})
        with pytest.raises(StatementTooSlow):
            async with store.transaction() as tx:
                await tx.fetch_all(endless, {"x": "secret"})
        assert await store.fetch_all(sa.text("SELECT 1"))
    assert meters.counter("storage.slow_statements").value == 2


async def test_scans_are_bounded_and_give_their_connections_back(
    database: MySQLPlace, store: MySQLStore
) -> None:
    """Left early, ended and refused ones: none of them is left on the server."""
    async with store.transaction() as tx:
        await tx.execute(ADD, [{"id": n, "name": f"{n}"} for n in range(5_000)])
    async with database.open(options=MySQLOptions(scans=2, timeout_s=30.0)) as opened:
        first, second, third = (opened.scan(ALL) for _ in range(3))
        assert len(await anext(first)) == len(await anext(second)) == 1_000
        with pytest.raises(StoreUnavailable, match="too many scans"):
            await anext(third)
        await first.aclose()
        assert sum([len(block) async for block in opened.scan(ALL)]) == 5_000
        await second.aclose()
    count = "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE()"
    async with asyncio.timeout(30):
        # The other store has its writer and one reader; this client asks.
        while int(database.query(count)[0][0]) > 3:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.05)
