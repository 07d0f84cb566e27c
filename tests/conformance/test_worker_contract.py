"""What every store of workers promises: in memory, on SQLite, on MariaDB."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sequencer.snowflake.memory_store import MemoryWorkers
from sequencer.snowflake.rules import Head, Window
from sequencer.snowflake.service import WorkerStore
from sequencer.snowflake.store import SqlWorkers, head_table, past_table, worker_table
from tests.conformance.stores import STORES, place

UID = 2**62 + 5


@pytest.fixture(params=["memory", *STORES])
async def store(request: pytest.FixtureRequest, var: Path) -> AsyncIterator[WorkerStore]:
    """Each store in turn."""
    if request.param == "memory":
        yield MemoryWorkers()
        return
    database = place(request.param, request, var)
    async with database.open() as opened:
        await database.create(opened, head_table, worker_table, past_table)
        yield SqlWorkers(opened)


def window(worker_id: int, from_tick: int, until_tick: int, *, token: int = 1) -> Window:
    return Window(
        worker_id=worker_id,
        token=token,
        holder="mesh:shop/a",
        from_tick=from_tick,
        until_tick=until_tick,
    )


async def test_a_head_begins_at_nothing_and_moves(store: WorkerStore) -> None:
    """Each sequence has its own."""
    moved = Head(number=2**62, position=2**50, floor=7)
    async with store.unit(UID) as unit:
        assert await unit.head() == Head()
        await unit.move(moved)
    async with store.unit(UID) as unit:
        assert await unit.head() == moved
        await unit.move(moved)
    async with store.unit(1) as unit:
        assert await unit.head() == Head()


async def test_the_lowest_worker_that_is_free_is_found(store: WorkerStore) -> None:
    """With how many there are, and when the first of those that are leased comes free."""
    async with store.unit(UID) as unit:
        empty = await unit.vacancy(100)
        for worker_id, until in enumerate((300, 100, 90, 200)):
            await unit.begin(window(worker_id, 0, until))
    async with store.unit(UID) as unit:
        at_100 = await unit.vacancy(100)
        at_50 = await unit.vacancy(50)

    assert (empty.free, empty.used) == (None, 0)
    assert at_100.free == window(1, 0, 100)
    assert (at_100.used, at_50.free, at_50.earliest) == (4, None, 90)


async def test_a_new_window_makes_the_old_one_a_past_one(store: WorkerStore) -> None:
    """Both are found by a tick that lies in them; nothing is found between them."""
    old, new = window(0, 0, 100), window(0, 150, 250, token=2)
    for each in (old, new):
        async with store.unit(UID) as unit:
            await unit.begin(each)

    found = [await store.window_at(UID, 0, tick) for tick in (0, 99, 100, 149, 150, 249, 250)]

    assert found == [old, old, None, None, new, new, None]
    assert await store.window_at(UID, 1, 0) is None


async def test_a_window_in_which_nothing_was_made_leaves_no_trace(store: WorkerStore) -> None:
    """One that was given back unused, and the next with the same beginning."""
    async with store.unit(UID) as unit:
        await unit.begin(window(0, 100, 200))
        await unit.change(window(0, 100, 100, token=0))
    async with store.unit(UID) as unit:
        await unit.begin(window(0, 100, 300, token=2))

    assert await store.window_at(UID, 0, 100) == window(0, 100, 300, token=2)


async def test_windows_are_changed_and_listed(store: WorkerStore) -> None:
    """The newest of each worker, by its id."""
    async with store.unit(UID) as unit:
        for worker_id in range(3):
            await unit.begin(window(worker_id, 0, 100))
        await unit.change(window(1, 0, 900))
        assert await unit.window(1) == window(1, 0, 900)
        assert await unit.window(3) is None

    assert await store.windows(UID, after=-1, limit=2) == [window(0, 0, 100), window(1, 0, 900)]
    assert await store.windows(UID, after=1, limit=9) == [window(2, 0, 100)]


async def test_past_windows_are_forgotten_up_to_a_tick(store: WorkerStore) -> None:
    """Later ones and the newest stay."""
    for begin in (0, 100, 200):
        async with store.unit(UID) as unit:
            await unit.begin(window(0, begin, begin + 100))
    async with store.unit(UID) as unit:
        await unit.forget(0, 150)

    kept = [await store.window_at(UID, 0, tick) for tick in (50, 150, 250)]

    assert [one and one.from_tick for one in kept] == [None, 100, 200]


async def test_a_unit_that_fails_changes_nothing(store: WorkerStore) -> None:
    """Neither the head nor a window."""

    async def failing() -> None:
        async with store.unit(UID) as unit:
            await unit.head()
            await unit.move(Head(number=1))
            await unit.begin(window(0, 0, 100))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await failing()

    async with store.unit(UID) as unit:
        assert await unit.head() == Head()
        assert await unit.window(0) is None
