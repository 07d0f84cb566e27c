"""Old events go once everybody had them, and never before."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from loadtests.servers import Redis
from mesh.bus.domain import Ask, GroupKey, Settlement
from mesh.redis import RedisClient
from mesh.redis import _bus_retention as retention
from mesh.redis import _bus_scripts as scripts
from mesh.redis._bus_keys import BusKeys
from mesh.redis._bus_log import BusOptions, RedisLog

pytestmark = pytest.mark.real


class Log:
    """A log of one topic, whose clock is set by hand."""

    def __init__(self, redis: RedisClient, kept: timedelta) -> None:
        self.redis = redis
        self.now = 0.0
        keys = BusKeys(f"retention-{secrets.token_hex(4)}")
        self.keys = keys.of("orders")
        self._log = RedisLog(redis, BusOptions(prefix=keys.prefix))
        self.retention = retention.Retention(redis, keys, kept, lambda: self.now)

    async def append(self, count: int) -> None:
        append = self.redis.script(scripts.APPEND)  # without the look that a bus has then
        await append(keys=[self.keys.log, self.keys.head], args=[b"event"] * count)

    async def poll(self, group: str, *, settled: int = 0, most: int = 1_000) -> list[int]:
        """Positions that a group is given once it has settled some."""
        found = await self._log.poll(
            Ask(
                key=GroupKey(group=group, topic="orders"),
                member="m1",
                most=most,
                wait_s=0,
                settlement=Settlement(position=settled),
            )
        )
        return [logged.position for logged in found or ()]

    async def trim(self) -> int:
        """What the next look at the topic removes."""
        await self.redis.execute("DEL", self.keys.trimmed)
        return await self.retention.trim("orders")

    async def left(self) -> list[int]:
        entries = await self.redis.execute("XRANGE", self.keys.log, "-", "+")
        return [int(entry.partition(b"-")[0]) for entry, _ in entries]


@pytest.fixture
async def redis(redis_server: Redis) -> AsyncIterator[RedisClient]:
    async with RedisClient(redis_server.url, timeout_s=5.0) as client:
        yield client


@pytest.fixture
def log(redis: RedisClient) -> Log:
    return Log(redis, timedelta(0))


async def test_what_the_slowest_group_has_not_settled_stays(log: Log) -> None:
    """Also what was given to it, and is pending; it can read on as if nothing had happened."""
    await log.append(10)
    await log.poll("fast")
    await log.poll("fast", settled=10)
    await log.poll("slow", most=6)
    await log.poll("slow", settled=3, most=3)
    assert await log.trim() == 3
    assert await log.left() == [*range(4, 11)]
    assert await log.poll("slow", settled=3) == [*range(4, 11)]
    assert await log.trim() == 0
    await log.poll("slow", settled=10)
    assert await log.trim() == 7
    assert await log.left() == []


async def test_a_topic_that_nobody_consumes_keeps_what_is_young(redis: RedisClient) -> None:
    """A group that comes later begins with the oldest that is left."""
    log = Log(redis, timedelta(days=1))
    await log.append(5)
    assert await log.trim() == 0
    log = Log(redis, timedelta(0))
    await log.append(5)
    assert await log.trim() == 5
    await log.append(2)
    assert await log.poll("late") == [6, 7]


async def test_only_entries_old_enough_go(redis: RedisClient) -> None:
    """Though all groups had them."""
    log = Log(redis, timedelta(hours=1))
    await log.append(6)
    for position in range(1, 7):  # as if the first four were two hours old
        old_us = 2 * 3_600_000_000 if position <= 4 else 0
        ((_, (_, raw, _, us)),) = await redis.execute(
            "XRANGE", log.keys.log, f"{position}-0", f"{position}-0"
        )
        other = log.keys.log + "-aged"
        await redis.execute("XADD", other, f"{position}-0", "e", raw, "us", int(us) - old_us)
    await redis.execute("RENAME", log.keys.log + "-aged", log.keys.log)
    assert await log.trim() == 4
    assert await log.left() == [5, 6]


async def test_it_is_done_once_in_a_while_by_all_together(log: Log) -> None:
    """Whoever comes second finds it done; by a service's own clock it does not even ask."""
    await log.append(3)
    await log.retention.look_after("orders")
    assert await log.left() == []
    await log.append(3)
    assert await log.retention.trim("orders") == 0
    await log.redis.execute("DEL", log.keys.trimmed)
    await log.retention.look_after("orders")
    assert await log.left() == [4, 5, 6]
    log.now += retention.EVERY_S
    await log.retention.look_after("orders")
    assert await log.left() == []


async def test_many_go_in_steps(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them bounded, and one with each use of the topic until all are gone."""
    monkeypatch.setattr(retention, "BATCH", 4)
    await log.append(10)
    left = []
    for _ in range(4):
        await log.retention.look_after("orders")
        left.append(len(await log.left()))
    assert left == [6, 2, 0, 0]
