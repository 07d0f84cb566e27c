"""Scans: their connections, threads and ends."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import pytest
import sqlalchemy as sa

from mesh.storage import SQLiteOptions, SQLiteStore, StoreUnavailable

OpenStore = Callable[..., SQLiteStore]

NUMBERS = """
    WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM c LIMIT :many) SELECT x FROM c
"""
MANY = sa.text(NUMBERS)
NONE_OF_MANY = sa.text(NUMBERS + " WHERE x < 0")
FOR_EVER = {"many": 10**12}


async def test_a_long_scan_is_not_interrupted(open_store: OpenStore) -> None:
    """The bound of short statements is not for scans."""
    async with open_store(options=SQLiteOptions(statement_limit_s=1e-9)) as store:
        blocks = [block async for block in store.scan(MANY, {"many": 50_500})]
    assert sum(len(block) for block in blocks) == 50_500


async def test_the_loop_goes_on_while_a_scan_works(store: SQLiteStore) -> None:
    """Reads and writes are served between two blocks and while one is fetched."""
    scan = store.scan(NONE_OF_MANY, FOR_EVER)
    async with aclosing(scan):
        first = asyncio.ensure_future(anext(scan))
        for number in range(20):
            async with store.transaction() as tx:
                await tx.execute(sa.text("INSERT INTO item (id) VALUES (:id)"), {"id": number})
        assert not first.done()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
    assert store._scans._open == set()


async def test_leaving_early_closes_the_connection(store: SQLiteStore) -> None:
    """Without `aclosing` too, once the scan is garbage."""
    async for block in store.scan(MANY, FOR_EVER):
        assert block[0][0] == 1
        break
    gc.collect()
    async with asyncio.timeout(30):
        while store._scans._open:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_many_scans_share_the_threads(store: SQLiteStore) -> None:
    """More scans than threads all come to their end."""

    async def count(many: int) -> int:
        return sum([len(block) async for block in store.scan(MANY, {"many": many})])

    counts = await asyncio.gather(*(count(many) for many in range(0, 20_000, 1_700)))
    assert counts == list(range(0, 20_000, 1_700))


async def test_closing_the_store_ends_its_scans(open_store: OpenStore) -> None:
    """Who still reads is told, whether between two blocks or waiting for one."""
    async with open_store() as store:
        idle = store.scan(MANY, FOR_EVER)
        assert len(await anext(idle)) == 1_000
        busy = store.scan(NONE_OF_MANY, FOR_EVER)
        waiting = asyncio.ensure_future(anext(busy))
        await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable):
        await waiting
    with pytest.raises(StoreUnavailable):
        await anext(idle)
    with pytest.raises(StoreUnavailable):
        await anext(store.scan(MANY, FOR_EVER))


async def test_an_empty_result_has_no_blocks(store: SQLiteStore) -> None:
    """The consumer's loop does not run."""
    assert [block async for block in store.scan(NONE_OF_MANY, {"many": 10})] == []


async def test_the_number_of_open_scans_is_bounded(open_store: OpenStore) -> None:
    """One too many is refused; when one ends there is room again."""
    async with open_store(options=SQLiteOptions(scans=2)) as store:
        scans = [store.scan(MANY, FOR_EVER) for _ in range(3)]
        for scan in scans[:2]:
            await anext(scan)
        with pytest.raises(StoreUnavailable, match="too many"):
            await anext(scans[2])
        await scans[0].aclose()
        another = store.scan(MANY, FOR_EVER)
        assert len(await anext(another)) == 1_000
        for scan in (scans[1], another):
            await scan.aclose()


async def test_a_database_that_is_gone_is_unavailable(store: SQLiteStore, path: Path) -> None:
    """A scan opens a connection; when that fails the error is the store's own."""
    away = path.parent.rename(path.parent.with_name("away"))
    with pytest.raises(StoreUnavailable):
        await anext(store.scan(MANY, FOR_EVER))
    away.rename(path.parent)
    assert len([block async for block in store.scan(MANY, {"many": 5})]) == 1
