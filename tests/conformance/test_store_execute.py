"""A statement that is a transaction of its own, on every store."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from google.protobuf.wrappers_pb2 import StringValue

from engine.mesh.v1.event_pb2 import Event
from mesh.storage import (
    IdempotentCall,
    IntegrityViolation,
    StorageError,
    Store,
    call_record,
    idempotent_call,
    lint,
)
from tests.conformance.stores import STORES, Place, place

ENTRIES = sa.Table(
    "entry",
    sa.MetaData(),
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("mark", sa.BigInteger, nullable=False),
    sa.Column("holder", sa.String(64)),
    sa.Column("raw", sa.LargeBinary(32)),
)
ADD = sa.insert(ENTRIES)
OF_SEQUENCE = (
    sa.select(ENTRIES)
    .where(ENTRIES.c.sequence == sa.bindparam("sequence"))
    .order_by(ENTRIES.c.number)
)
TIP = OF_SEQUENCE.order_by(None).order_by(ENTRIES.c.number.desc()).limit(1)
MOST = 64


def entry(number: int, mark: int = 0, **values: Any) -> dict[str, Any]:
    return {"sequence": 1, "number": number, "mark": mark, "holder": None, "raw": None, **values}


@lru_cache
def appending(count: int) -> sa.Insert:
    """Insert so many entries if the one before them is still there."""
    previous = ENTRIES.alias("previous")
    is_there = (
        previous.c.sequence == sa.bindparam("after_sequence"),
        previous.c.number == sa.bindparam("after_number"),
        previous.c.mark == sa.bindparam("after_mark"),
    )
    arms = [
        sa.select(
            *(sa.bindparam(f"{column.name}_{arm}", type_=column.type) for column in ENTRIES.c)
        ).where(*is_there)
        for arm in range(count)
    ]
    return sa.insert(ENTRIES).from_select(ENTRIES.c.keys(), sa.union_all(*arms))


async def append(store: Store, after: tuple[int, int], entries: Sequence[dict[str, Any]]) -> int:
    """Append behind the entry of this number and mark; the rows hit."""
    parameters = {
        f"{name}_{arm}": value for arm, each in enumerate(entries) for name, value in each.items()
    }
    number, mark = after
    parameters |= {"after_sequence": 1, "after_number": number, "after_mark": mark}
    return await store.execute(appending(len(entries)), parameters)


@pytest.fixture(params=STORES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return place(request.param, request, tmp_path)


@pytest.fixture
async def store(database: Place) -> AsyncIterator[Store]:
    async with database.open() as opened:
        await database.create(opened, ENTRIES)
        yield opened


async def numbers(store: Store, sequence: int = 1) -> list[int]:
    rows = await store.fetch_all(OF_SEQUENCE, {"sequence": sequence})
    return [row.number for row in rows]


async def test_what_was_executed_is_kept(store: Store, database: Place) -> None:
    """Another process sees it once it returned; a change tells how many rows it hit."""
    assert await store.execute(ADD, entry(1)) == 1
    assert await store.execute(ADD, entry(2)) == 1
    async with database.open() as other:
        assert await numbers(other) == [1, 2]
        assert await other.execute(sa.delete(ENTRIES)) == 2
    assert await numbers(store) == []


async def test_a_statement_that_hits_nothing_says_so(store: Store) -> None:
    """An update without a row, and an insert of what a select does not find."""
    lost = sa.update(ENTRIES).where(ENTRIES.c.number == 7).values(mark=1)
    assert await store.execute(lost) == 0
    assert await append(store, (0, 0), [entry(1), entry(2)]) == 0
    assert await numbers(store) == []


async def test_a_row_counts_as_hit_though_it_stays_as_it_was(store: Store) -> None:
    """An update that writes what is there already hit its row."""
    await store.execute(ADD, entry(1))
    assert await store.execute(sa.update(ENTRIES).values(mark=0)) == 1


async def test_a_taken_key_leaves_nothing(store: Store) -> None:
    """Not even the rows of the statement whose keys were free."""
    await store.execute(ADD, entry(0, 5))
    await store.execute(ADD, entry(2))
    with pytest.raises(IntegrityViolation) as caught:
        await append(store, (0, 5), [entry(1), entry(2), entry(3)])
    assert (caught.value.kind, caught.value.columns) == (
        "unique",
        ("entry.sequence", "entry.number"),
    )
    assert await numbers(store) == [0, 2]


@pytest.mark.parametrize("count", [1, 2, MOST])
async def test_values_of_a_select_are_kept_as_given(store: Store, count: int) -> None:
    """The arms of a union do not bend each other's values, whatever their sizes and kinds."""
    holders = ("", None, "a" * 64, "钱 😀 é", "back\\slash ' % :x ?")
    marks = (0, 2**63 - 1, -(2**63), 1)
    raws = (None, b"", bytes([0, 39, 92, 255]) * 8)
    given = [
        entry(
            1 + arm,
            marks[arm % 4],
            holder=holders[arm % 5],
            raw=raws[arm % 3],
        )
        for arm in range(count)
    ]
    await store.execute(ADD, entry(0, 2**62))
    assert await append(store, (0, 2**62), given) == count
    rows = await store.fetch_all(OF_SEQUENCE, {"sequence": 1})
    assert [tuple(row) for row in rows[1:]] == [tuple(each.values()) for each in given]


async def append_many(store: Store, marks: random.Random, writer: str, count: int) -> None:
    """Append so often, behind whatever is the last entry then."""
    while count:
        (tip,) = await store.fetch_all(TIP, {"sequence": 1})
        size = marks.randrange(1, 4)
        entries = [
            entry(tip.number + 1 + n, marks.getrandbits(62), holder=writer) for n in range(size)
        ]
        try:
            hit = await append(store, (tip.number, tip.mark), entries)
        except IntegrityViolation:
            continue
        assert hit == size
        count -= 1


@pytest.mark.parametrize("writers", [1, 4])
async def test_compare_and_set_by_two_processes_loses_nothing(
    database: Place, store: Store, writers: int
) -> None:
    """Two stores append 500 times each; the numbers are dense and nobody met a deadlock."""
    await store.execute(ADD, entry(0))
    async with database.open() as other, asyncio.TaskGroup() as tasks:
        for seed, opened in enumerate((store, other)):
            for task in range(writers):
                marks = random.Random(10 * seed + task)
                tasks.create_task(append_many(opened, marks, f"{seed}", 500 // writers))
    rows = await store.fetch_all(OF_SEQUENCE, {"sequence": 1})
    assert [row.number for row in rows] == list(range(len(rows)))
    assert {row.holder for row in rows[1:]} == {"0", "1"}


async def test_transactions_and_statements_go_on_side_by_side(store: Store) -> None:
    """Each kind waits for itself at most; all are kept."""

    async def within(number: int) -> None:
        async with store.transaction() as tx:
            await tx.execute(ADD, entry(number, sequence=2))

    async with asyncio.TaskGroup() as tasks:
        for number in range(100):
            tasks.create_task(within(number))
            tasks.create_task(store.execute(ADD, entry(number)))
    assert await numbers(store, 1) == await numbers(store, 2) == list(range(100))


async def test_it_is_refused_within_a_transaction_of_the_same_store(store: Store) -> None:
    """It would wait for what the task itself holds."""
    async with store.transaction() as tx:
        await tx.execute(ADD, entry(1))
        with pytest.raises(RuntimeError, match="within a transaction"):
            await store.execute(ADD, entry(2))
    assert await numbers(store) == [1]


class Record:
    """A call's record."""

    taken = False

    def event(self) -> Event:
        raise AssertionError("bookkeeping has no record")


async def test_it_is_not_the_effect_of_the_call_that_is_served(store: Store) -> None:
    """Neither its request id nor its record is used up: they are for the call's transaction."""
    record = Record()
    call = IdempotentCall(caller="rm001", method="/a/B", request_id="r", request_hash=b"h")
    tokens = idempotent_call.set(call), call_record.set(record)
    try:
        await store.execute(ADD, entry(1))
        await store.execute(ADD, entry(2))
        assert not record.taken
        record.taken = True
        async with store.transaction() as tx:
            tx.answer(StringValue(value="done"))
    finally:
        idempotent_call.reset(tokens[0])
        call_record.reset(tokens[1])
    assert await numbers(store) == [1, 2]


@pytest.mark.parametrize("seed", range(5))
async def test_cancellation_loses_nothing_that_returned(store: Store, seed: int) -> None:
    """Who was cancelled before may be kept or not; the store goes on."""
    random_ = random.Random(seed)
    returned: set[int] = set()

    async def work(number: int) -> None:
        await store.execute(ADD, entry(number))
        returned.add(number)

    tasks = [asyncio.create_task(work(number)) for number in range(60)]
    while not all(task.done() for task in tasks):
        if random_.random() < 0.5:
            random_.choice(tasks).cancel()
        for _ in range(random_.randrange(6)):
            await asyncio.sleep(0)
    await store.execute(ADD, entry(1_000))
    assert returned | {1_000} <= set(await numbers(store))


async def test_a_closed_store_refuses(database: Place) -> None:
    """With an error of the store."""
    async with database.open() as store:
        await database.create(store, ENTRIES)
    with pytest.raises(StorageError):
        await store.execute(ADD, entry(1))


async def test_rules_of_sql_hold_for_it(store: Store) -> None:
    """A statement that would not do on each database is found when it is executed."""
    found: list[lint.Refusal] = []
    await store.execute(ADD, entry(0))
    with lint.watch(found):
        await append(store, (0, 0), [entry(1), entry(2)])
        await append(store, (2, 0), [entry(n) for n in range(3, 3 + MOST)])
        assert found == []
        with pytest.raises(StorageError):
            await store.execute(sa.text("REPLACE INTO nothing (id) VALUES (1)"))
    assert [refusal.rule for refusal in found] == [
        "an upsert tells another number of rows on each database: update, then insert"
    ]
