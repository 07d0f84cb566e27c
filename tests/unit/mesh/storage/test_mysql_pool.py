"""Connections are lent to as many tasks as there are, in the order of asking."""

from __future__ import annotations

import asyncio
import random
from typing import Any, cast

import pytest

from mesh.storage import MySQLOptions, OutcomeUnknown, StoreUnavailable
from mesh.storage._mysql._connection import Connection
from mesh.storage._mysql._errors import ConnectionLost
from mesh.storage._mysql._pool import Pool


class Opened:
    """Connections that remember who used them."""

    def __init__(self) -> None:
        self.all: list[FakeConnection] = []

    async def connect(self) -> Connection:
        await asyncio.sleep(0)
        self.all.append(FakeConnection())
        return cast("Connection", self.all[-1])


class FakeConnection:
    """As much of a connection as the pool sees."""

    def __init__(self) -> None:
        self.used = 0
        self.is_open = True
        self.is_gone = False
        self.users = 0

    def close(self) -> None:
        self.is_open = False

    async def leave(self) -> None:
        self.close()


async def use(connection: Connection) -> None:
    """What a read does: one at a time, closed when it is cut off."""
    fake = cast("Any", connection)
    if fake.is_gone:
        fake.close()
        raise ConnectionLost("gone")
    assert fake.users == 0, "lent to two at once"
    fake.users += 1
    fake.used += 1
    try:
        for _ in range(random.randrange(4)):
            await asyncio.sleep(0)
    except asyncio.CancelledError:
        fake.close()
        raise
    finally:
        fake.users -= 1


async def test_connections_are_used_again() -> None:
    """One after another needs one."""
    opened = Opened()
    pool = Pool(opened.connect, MySQLOptions(pool=3))
    for _ in range(5):
        await pool.read(use)
    assert len(opened.all) == 1
    await pool.close()
    assert not opened.all[0].is_open


async def test_no_more_than_allowed_are_open() -> None:
    """The others wait, and all have their turn."""
    opened = Opened()
    pool = Pool(opened.connect, MySQLOptions(pool=3))
    await asyncio.gather(*(pool.read(use) for _ in range(50)))
    assert len(opened.all) == 3


async def test_one_that_was_cut_off_is_not_lent_again() -> None:
    """Whenever the cancellation comes: no place is lost, and no connection is shared."""
    random.seed(3)
    opened = Opened()
    pool = Pool(opened.connect, MySQLOptions(pool=3))
    for _ in range(100):
        tasks = [asyncio.create_task(pool.read(use)) for _ in range(9)]
        for _ in range(random.randrange(6)):
            await asyncio.sleep(0)
        for task in random.sample(tasks, 4):
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(end) for end in ended} <= {type(None), asyncio.CancelledError}
        assert sum(fake.is_open for fake in opened.all) <= 3
    await asyncio.gather(*(pool.read(use) for _ in range(9)))


async def test_those_that_the_server_closed_are_replaced() -> None:
    """The read that finds it runs on a new one, and the others are not tried."""
    opened = Opened()
    pool = Pool(opened.connect, MySQLOptions(pool=3))
    await asyncio.gather(*(pool.read(use) for _ in range(9)))
    for fake in opened.all:
        fake.is_gone = True
    await pool.read(use)
    assert [fake.is_open for fake in opened.all] == [False, False, False, True]


async def test_a_write_is_not_tried_on_those_that_the_server_closed() -> None:
    """Closed ones are left aside before it begins."""
    opened = Opened()
    pool = Pool(opened.connect, MySQLOptions(pool=3))
    await asyncio.gather(*(pool.write(use) for _ in range(9)))
    for fake in opened.all:
        fake.is_open = False
    await pool.write(use)
    assert [fake.is_open for fake in opened.all] == [False, False, False, True]


async def test_a_write_whose_outcome_is_unknown_does_not_run_again() -> None:
    """It raises, and those that lie idle are not tried either."""
    tried: list[Connection] = []

    async def lose(connection: Connection) -> None:
        tried.append(connection)
        connection.close()
        raise OutcomeUnknown("lost")

    opened = Opened()
    pool = Pool(opened.connect, MySQLOptions(pool=3))
    await asyncio.gather(*(pool.write(use) for _ in range(9)))
    with pytest.raises(OutcomeUnknown):
        await pool.write(lose)
    assert len(tried) == 1
    assert not any(fake.is_open for fake in opened.all)


async def test_a_server_that_is_away_is_told_at_once() -> None:
    """A new connection that is lost is not replaced by another."""

    async def lose(_connection: Connection) -> None:
        raise ConnectionLost("gone")

    opened = Opened()
    pool = Pool(opened.connect, MySQLOptions(pool=3))
    with pytest.raises(ConnectionLost):
        await pool.read(lose)
    assert len(opened.all) == 1


async def test_waiting_is_bounded_in_number_and_time() -> None:
    """Who finds the queue full is refused at once, who waits for long later."""

    async def hold(_connection: Connection) -> None:
        await asyncio.Event().wait()

    pool = Pool(Opened().connect, MySQLOptions(pool=1, queue_size=1, timeout_s=0.02))
    holder = asyncio.create_task(pool.read(hold))
    await asyncio.sleep(0)
    ended = await asyncio.gather(*(pool.read(use) for _ in range(2)), return_exceptions=True)
    assert [str(end) for end in ended] == [
        "no connection was free in time",
        "too many wait for a connection",
    ]
    holder.cancel()
    await asyncio.wait([holder])
    await pool.read(use)
    await pool.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await pool.read(use)
