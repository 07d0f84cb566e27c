"""Redis is killed, stopped, frozen and full while events go by: each has its effect once."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self, TypeVar

import pytest
import sqlalchemy as sa
from google.protobuf.wrappers_pb2 import StringValue
from sqlalchemy.schema import CreateTable

from engine.mesh.v1.event_pb2 import Event
from loadtests.servers import Redis
from mesh.events import Consumer, Effect, Relay, Subscription, event
from mesh.redis import RedisClient
from mesh.redis.bus import BusOptions, RedisBus
from mesh.storage import SQLiteOptions, SQLiteStore, Transaction
from mesh.telemetry import NullTracer

pytestmark = pytest.mark.real

EVENTS = 2_000
KEYS = 20
BOUND_S = 60.0

LEDGER = sa.Table(
    "ledger",
    sa.MetaData(),
    sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.Integer, nullable=False),
)

T = TypeVar("T")
Trouble = Callable[[Redis], None]


class Till:
    """Tells of orders from one store, and keeps each in a ledger in another, by way of Redis."""

    def __init__(self, server: Redis, producer: SQLiteStore, consumer: SQLiteStore) -> None:
        self.server = server
        self.producer = producer
        self.consumer = consumer
        self._redis = [RedisClient(server.url, timeout_s=0.5) for _ in range(2)]
        self._places = itertools.count()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        telling, hearing = [await self._stack.enter_async_context(r) for r in self._redis]
        relay = Relay(self.producer.outbox, RedisBus(telling, "shop"))
        await self._stack.enter_async_context(relay)
        for _ in range(2):  # the second stands by
            orders = Subscription(group="ledger", topic="orders", react=self._react, batch=100)
            bus = RedisBus(hearing, "till", BusOptions(lease_s=1.0))
            await self._stack.enter_async_context(Consumer(self.consumer, bus, orders))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def tell(self, first: int, last: int) -> None:
        """Publish orders, some in each transaction."""
        for start in range(first, last, 10):
            async with self.producer.transaction() as tx:
                for number in range(start, min(start + 10, last)):
                    told = StringValue(value=f"{number}")
                    tx.publish(event(told, key=f"key {number % KEYS}", topic="orders"))
            await asyncio.sleep(0)

    async def kept(self) -> list[int]:
        rows = await self.consumer.fetch_all(sa.select(LEDGER.c.number).order_by(LEDGER.c.place))
        return [row.number for row in rows]

    async def until_kept(self, count: int) -> list[int]:
        return await _eventually(self.kept, lambda found: len(found) >= count)

    async def until_gone(self) -> None:
        """Until the consumers have noticed that Redis does not answer."""

        async def is_there() -> bool:
            return self._redis[1].available

        await _eventually(is_there, lambda there: not there)

    async def waiting(self) -> int:
        """Orders that have not left the store in which they were told."""
        return len(await self.producer.outbox.read(EVENTS))

    async def check(self) -> None:
        """Nothing is lost or doubled, each key is in its order, and nothing waits any more."""
        numbers = await self.until_kept(EVENTS)
        assert sorted(numbers) == [*range(EVENTS)]
        of_key = defaultdict(list)
        for number in numbers:
            of_key[number % KEYS].append(number)
        assert all(found == sorted(found) for found in of_key.values())
        await _eventually(self.waiting, lambda count: count == 0)

    async def _react(self, given: Event) -> Effect:
        number = int(StringValue.FromString(given.payload).value)

        async def effect(tx: Transaction) -> None:
            await tx.execute(sa.insert(LEDGER), {"place": next(self._places), "number": number})

        return effect


async def _eventually(look: Callable[[], Awaitable[T]], enough: Callable[[T], bool]) -> T:
    """What `look` answers once it is enough."""
    async with asyncio.timeout(BOUND_S):
        while True:
            found = await look()
            if enough(found):
                return found
            await asyncio.sleep(0.005)


@pytest.fixture
def server(var: Path) -> Iterator[Redis]:
    """A Redis that may be killed."""
    with Redis(var / "redis") as started:
        yield started


@pytest.fixture
async def till(server: Redis, var: Path) -> AsyncIterator[Till]:
    """A till at work; when it closes, Redis is there."""
    patient = SQLiteOptions(statement_limit_s=60.0)  # on a busy machine too
    async with AsyncExitStack() as stack:
        stores = [
            await stack.enter_async_context(
                SQLiteStore(var / f"{name}.db", tracer=NullTracer(), options=patient)
            )
            for name in ("shop", "till")
        ]
        async with stores[1].transaction() as tx:
            await tx.execute(CreateTable(LEDGER))
        yield await stack.enter_async_context(Till(server, *stores))


@pytest.mark.parametrize(
    ("begin", "end"),
    [(Redis.kill, Redis.start), (Redis.stop, Redis.start), (Redis.pause, Redis.resume)],
    ids=["killed", "stopped", "frozen"],
)
async def test_an_outage_loses_and_doubles_nothing(
    till: Till, begin: Trouble, end: Trouble
) -> None:
    """Producers go on, their outbox holds what they tell, and all goes on by itself later."""
    half = EVENTS // 2
    telling = asyncio.create_task(till.tell(0, half))
    await till.until_kept(half // 4)
    await asyncio.to_thread(begin, till.server)
    await telling
    await till.until_gone()
    await till.tell(half, EVENTS)
    assert await till.waiting() >= EVENTS - half
    await asyncio.to_thread(end, till.server)
    await till.check()


async def test_restarts_under_traffic_lose_and_double_nothing(till: Till) -> None:
    """Killed again and again in the middle of appends, polls and settlements."""
    telling = asyncio.create_task(till.tell(0, EVENTS))
    for count in range(200, EVENTS, 400):
        await till.until_kept(count)
        await asyncio.to_thread(till.server.restart)
    await telling
    await till.check()


async def test_a_full_redis_takes_nothing_and_gives_everything(till: Till) -> None:
    """The outbox holds what is new; what is there is consumed, and so makes room."""
    half = EVENTS // 2
    await till.tell(0, half)
    await till.until_kept(half // 4)
    for name, value in (("maxmemory-policy", "noeviction"), ("maxmemory", "1mb")):
        await asyncio.to_thread(till.server.command, "config", "set", name, value)
    there = int(await asyncio.to_thread(_last, till.server))
    await till.tell(half, EVENTS)
    await till.until_kept(there)
    assert await till.waiting() >= EVENTS - half
    await asyncio.to_thread(till.server.command, "config", "set", "maxmemory", "0")
    await till.check()


def _last(server: Redis) -> str:
    """Position of the last order that Redis has."""
    return server.command("hget", "engine:{bus:orders}:head", "position")
