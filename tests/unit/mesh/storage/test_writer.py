"""Groups of transactions, and what may go wrong with a group."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from google.protobuf.wrappers_pb2 import StringValue
from sqlalchemy.schema import CreateTable

from mesh.storage import (
    IdempotentCall,
    IntegrityViolation,
    SQLiteOptions,
    SQLiteStore,
    StatementTooSlow,
    StorageError,
    StoreUnavailable,
    idempotent_call,
)
from mesh.telemetry import Meters

OpenStore = Callable[..., SQLiteStore]

ENDLESS = """
    INSERT INTO item (n)
    WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM c) SELECT x FROM c
"""


async def add(store: SQLiteStore, item: sa.Table, number: int, parent: int | None = None) -> None:
    async with store.transaction() as tx:
        await tx.execute(sa.insert(item), {"id": number, "parent": parent})


async def ids(store: SQLiteStore, item: sa.Table) -> list[int]:
    return [row.id for row in await store.fetch_all(sa.select(item.c.id).order_by(item.c.id))]


def set_when(event: asyncio.Event, condition: Callable[[], bool]) -> None:
    if condition():
        event.set()
    else:
        asyncio.get_running_loop().call_soon(set_when, event, condition)


async def test_what_queues_shares_a_commit(
    store: SQLiteStore, item: sa.Table, meters: Meters
) -> None:
    """A hundred transactions at once need two commits: one of 64, one of the others."""
    before = meters.counter("storage.commits").value
    await asyncio.gather(*(add(store, item, number) for number in range(100)))
    assert meters.counter("storage.commits").value - before == 2
    assert len(await ids(store, item)) == 100


async def test_a_group_is_bounded_in_number(
    open_store: OpenStore, item: sa.Table, meters: Meters
) -> None:
    """With room for three, nine transactions take three commits at least."""
    async with open_store(options=SQLiteOptions(group_size=3)) as store:
        async with store.transaction() as tx:
            await tx.execute(CreateTable(item))
        before = meters.counter("storage.commits").value
        await asyncio.gather(*(add(store, item, number) for number in range(9)))
        assert meters.counter("storage.commits").value - before >= 3


async def test_who_waits_when_a_group_begins_shares_its_commit(
    open_store: OpenStore, item: sa.Table, meters: Meters
) -> None:
    """However long their bodies take: a busy machine must not make more commits."""
    async with open_store(options=SQLiteOptions(group_s=-1.0)) as store:
        async with store.transaction() as tx:
            await tx.execute(CreateTable(item))
        before = meters.counter("storage.commits").value
        await asyncio.gather(*(add(store, item, number) for number in range(9)))
        assert meters.counter("storage.commits").value - before == 1


async def test_a_group_is_bounded_in_time(
    open_store: OpenStore, item: sa.Table, meters: Meters
) -> None:
    """Who comes when it is over has the next commit, with all who came meanwhile."""
    async with open_store(options=SQLiteOptions(group_s=-1.0)) as store:
        async with store.transaction() as tx:
            await tx.execute(CreateTable(item))
        before = meters.counter("storage.commits").value
        async with store.transaction() as tx:
            later = [asyncio.create_task(add(store, item, number)) for number in range(1, 4)]
            await asyncio.sleep(0)
            await tx.execute(sa.insert(item), {"id": 0})
        await asyncio.gather(*later)
        assert meters.counter("storage.commits").value - before == 2


async def test_a_failed_commit_fails_its_whole_group(store: SQLiteStore, item: sa.Table) -> None:
    """Nobody is told that he succeeded, and nothing is kept; the next one works."""
    tasks = [add(store, item, 1), add(store, item, 2, parent=99), add(store, item, 3)]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [StoreUnavailable] * 3
    causes = [result.__cause__ for result in results if isinstance(result, StoreUnavailable)]
    assert {type(cause) for cause in causes} == {IntegrityViolation}
    assert await ids(store, item) == []
    await add(store, item, 4)
    assert await ids(store, item) == [4]


async def test_no_answer_is_replayed_before_it_is_durable(
    store: SQLiteStore, item: sa.Table
) -> None:
    """A repeated call that finds the record within its own group waits, and fails with it."""

    async def call(number: int) -> None:
        idempotent_call.set(
            IdempotentCall(caller="rm", method="/m", request_id="r-1", request_hash=b"1")
        )
        async with store.transaction() as tx:
            await tx.execute(sa.insert(item), {"id": number})
            tx.answer(StringValue(value=str(number)))

    tasks = [call(1), call(2), add(store, item, 3, parent=99)]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [StoreUnavailable] * 3
    await call(4)
    assert await ids(store, item) == [4]


async def test_a_call_may_try_again_after_a_failed_commit(
    store: SQLiteStore, item: sa.Table
) -> None:
    """What did not become durable does not count as its transaction."""
    call = IdempotentCall(caller="rm", method="/m", request_id="r-1", request_hash=b"1")
    token = idempotent_call.set(call)
    for parent in (99, None):
        try:
            async with store.transaction() as tx:
                await tx.execute(sa.insert(item), {"id": 1, "parent": parent})
                tx.answer(StringValue(value="done"))
        except StoreUnavailable:
            assert parent == 99
    idempotent_call.reset(token)
    assert await ids(store, item) == [1]


async def test_a_runaway_change_is_stopped(open_store: OpenStore, item: sa.Table) -> None:
    """SQLite rolls all of its group back: the others are told, and can try again."""
    options = SQLiteOptions(statement_limit_s=0.02, group_s=60.0)
    async with open_store(options=options) as store:
        async with store.transaction() as tx:
            await tx.execute(CreateTable(item))

        async def run_away() -> None:
            async with store.transaction() as tx:
                await tx.execute(sa.text(ENDLESS))

        results = await asyncio.gather(
            add(store, item, 1), run_away(), add(store, item, 3), return_exceptions=True
        )
        assert [type(result) for result in results[:2]] == [StoreUnavailable, StatementTooSlow]
        assert results[2] is None
        assert await ids(store, item) == [3]


async def test_nothing_runs_after_the_database_rolled_back(
    open_store: OpenStore, item: sa.Table
) -> None:
    """A block that catches the error cannot go on outside any transaction."""
    async with open_store(options=SQLiteOptions(statement_limit_s=0.02)) as store:
        async with store.transaction() as tx:
            await tx.execute(CreateTable(item))

        async def carry_on(*, writing: bool) -> None:
            async with store.transaction() as tx:
                with pytest.raises(StatementTooSlow):
                    await tx.execute(sa.text(ENDLESS))
                if writing:
                    await tx.execute(sa.insert(item), {"id": 1})

        for writing in (True, False):
            with pytest.raises(StoreUnavailable, match="rolled the transaction back"):
                await carry_on(writing=writing)
        assert await ids(store, item) == []


async def test_a_full_disk_is_not_the_end(store: SQLiteStore, item: sa.Table) -> None:
    """The transaction fails as unavailable; with space again the next one works."""
    raw = store._writer.connection._raw
    (pages,) = raw.execute("PRAGMA page_count").fetchone()
    raw.execute(f"PRAGMA max_page_count = {pages}")
    fill = [{"id": number} for number in range(5_000)]
    with pytest.raises(StoreUnavailable, match="full"):
        async with store.transaction() as tx:
            await tx.execute(sa.insert(item), fill)
    raw.execute(f"PRAGMA max_page_count = {pages + 1_000}")
    async with store.transaction() as tx:
        await tx.execute(sa.insert(item), fill)
    assert len(await ids(store, item)) == 5_000


async def test_a_writer_waits_for_another_process(
    store: SQLiteStore, item: sa.Table, path: Path
) -> None:
    """The loop goes on meanwhile, and the transaction follows the other's."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO item (id) VALUES (1)")
        waiting = asyncio.create_task(add(store, item, 2))
        for _ in range(10):
            await asyncio.sleep(0)
            assert await ids(store, item) == []
        assert not waiting.done()
        other.execute("COMMIT")
        await waiting
    assert await ids(store, item) == [1, 2]


async def test_waiting_for_another_process_is_bounded(
    open_store: OpenStore, store: SQLiteStore, item: sa.Table, path: Path
) -> None:
    """All that wait are told; after that the store works again."""
    async with open_store(options=SQLiteOptions(busy_timeout_s=0.02)) as impatient:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            results = await asyncio.gather(
                *(add(impatient, item, number) for number in range(3)), return_exceptions=True
            )
        assert [type(result) for result in results] == [StoreUnavailable] * 3
        await add(impatient, item, 5)
    assert await ids(store, item) == [5]


async def test_the_queue_is_bounded(open_store: OpenStore, item: sa.Table) -> None:
    """Who finds it full is refused at once."""
    async with open_store(options=SQLiteOptions(queue_size=2)) as store:
        async with store.transaction() as tx:
            await tx.execute(CreateTable(item))
        results = await asyncio.gather(
            *(add(store, item, number) for number in range(4)), return_exceptions=True
        )
        refused = [str(result) for result in results if isinstance(result, StoreUnavailable)]
        assert refused == ["too many transactions wait for the writer"] * 2


async def test_closing_finishes_what_runs_and_refuses_what_waits(
    open_store: OpenStore, store: SQLiteStore, item: sa.Table
) -> None:
    """The one in its block is committed; the one in the queue is told."""
    inside, let_go = asyncio.Event(), asyncio.Event()

    async def hold(held: SQLiteStore) -> None:
        async with held.transaction() as tx:
            inside.set()
            await let_go.wait()
            await tx.execute(sa.insert(item), {"id": 1})

    async with open_store() as closing_store:
        running = asyncio.create_task(hold(closing_store))
        await inside.wait()
        waiting = asyncio.create_task(add(closing_store, item, 2))
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        loop.call_soon(set_when, let_go, lambda: closing_store._writer._closing)
    await running
    with pytest.raises(StoreUnavailable, match="closed"):
        await waiting
    with pytest.raises(StoreUnavailable, match="closed"):
        await add(closing_store, item, 3)
    with pytest.raises(StoreUnavailable, match="closed"):
        await closing_store.fetch_all(sa.select(item))
    assert await ids(store, item) == [1]


async def test_a_block_that_never_ends_is_cut_off(
    open_store: OpenStore, store: SQLiteStore, item: sa.Table
) -> None:
    """Closing waits for it no longer than allowed; it fails, and its work is undone."""
    inside, let_go = asyncio.Event(), asyncio.Event()

    async def hold(held: SQLiteStore) -> None:
        async with held.transaction() as tx:
            await tx.execute(sa.insert(item), {"id": 1})
            inside.set()
            await let_go.wait()

    async with open_store(options=SQLiteOptions(close_s=0.01)) as opened:
        running = asyncio.create_task(hold(opened))
        await inside.wait()
    let_go.set()
    with pytest.raises(StoreUnavailable, match="closed"):
        await running
    await add(store, item, 2)
    assert await ids(store, item) == [2]


async def test_cancelling_the_close_closes(
    open_store: OpenStore, store: SQLiteStore, item: sa.Table
) -> None:
    """The lock is free for others, whenever the cancellation comes."""
    for steps in range(1, 9):
        inside, let_go = asyncio.Event(), asyncio.Event()

        async def hold(held: SQLiteStore, inside: asyncio.Event, let_go: asyncio.Event) -> None:
            async with held.transaction() as tx:
                await tx.execute(sa.insert(item), {"id": 1})
                inside.set()
                await let_go.wait()

        opened = await open_store(options=SQLiteOptions(close_s=0.01)).__aenter__()
        running = asyncio.create_task(hold(opened, inside, let_go))
        await inside.wait()
        closing_ = asyncio.create_task(opened.__aexit__(None, None, None))
        for _ in range(steps):
            await asyncio.sleep(0)
        closing_.cancel()
        await asyncio.wait([closing_])
        let_go.set()
        assert isinstance((await asyncio.gather(running, return_exceptions=True))[0], StorageError)
        await add(store, item, 10 + steps)
    assert await ids(store, item) == list(range(11, 19))


async def test_the_log_is_emptied_when_it_grows(
    open_store: OpenStore, item: sa.Table, path: Path, meters: Meters
) -> None:
    """Above its bound the write-ahead log goes into the database and is cut to nothing."""
    async with open_store(options=SQLiteOptions(wal_limit_bytes=50_000)) as store:
        async with store.transaction() as tx:
            await tx.execute(CreateTable(item))
        sizes = []
        for start in range(0, 20_000, 1_000):
            async with store.transaction() as tx:
                await tx.execute(sa.insert(item), [{"id": start + n} for n in range(1_000)])
            sizes.append(meters.gauges["storage.wal_bytes"]())
        assert 0 in sizes
        assert max(sizes) < 100_000


async def test_a_reader_of_an_old_state_does_not_fail_commits(
    open_store: OpenStore, item: sa.Table, path: Path, meters: Meters
) -> None:
    """While it reads the log grows; when it has gone the log is emptied."""
    options = SQLiteOptions(wal_limit_bytes=50_000)
    async with open_store(options=options) as store:
        async with store.transaction() as tx:
            await tx.execute(CreateTable(item))
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM item").fetchall()
            for start in range(0, 20_000, 1_000):
                async with store.transaction() as tx:
                    await tx.execute(sa.insert(item), [{"id": start + n} for n in range(1_000)])
            assert meters.gauges["storage.wal_bytes"]() > 100_000
        for number in range(30_000, 60_000, 1_000):
            async with store.transaction() as tx:
                await tx.execute(sa.insert(item), [{"id": number + n} for n in range(1_000)])
            if meters.gauges["storage.wal_bytes"]() == 0:
                break
        assert meters.gauges["storage.wal_bytes"]() == 0
