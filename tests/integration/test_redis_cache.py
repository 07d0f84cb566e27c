"""The shared cache against a real Redis: what it must never bring back, and life without it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from engine.product.v1 import product_pb2
from loadtests.servers import Redis
from mesh.cache import Cached
from mesh.redis import RedisCache, RedisClient
from mesh.telemetry import Meters

pytestmark = pytest.mark.real


class Process:
    """A process of a service, with connections and a cache of its own."""

    def __init__(self, redis: RedisClient, service: str, hold_s: float) -> None:
        self.redis = redis
        self.meters = Meters()
        self.cache = RedisCache(redis, service, hold_s=hold_s, meters=self.meters)


class Service:
    """Some processes of one service at one server."""

    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        self._url = url
        self._stack = stack
        self._name = uuid4().hex

    async def process(self, *, hold_s: float = 0.001) -> Process:
        redis = RedisClient(self._url, timeout_s=0.5)
        await self._stack.enter_async_context(redis)
        return Process(redis, self._name, hold_s)


@pytest.fixture
def server(var: Path) -> Iterator[Redis]:
    """One that a test may break."""
    with Redis(var / "redis") as server:
        yield server


@pytest.fixture
async def service(server: Redis) -> AsyncIterator[Service]:
    async with AsyncExitStack() as stack:
        yield Service(server.url, stack)


async def test_what_one_process_keeps_the_others_find(service: Service) -> None:
    """And what one deletes is gone for all."""
    one, two = await service.process(), await service.process()
    await one.cache.set("k", b"v", ttl_s=60)
    assert await two.cache.get("k") == b"v"
    await two.cache.delete("k")
    assert await one.cache.get("k") is None


async def test_services_do_not_see_one_anothers_keys(server: Redis) -> None:
    """Each has names of its own."""
    async with RedisClient(server.url) as redis:
        await RedisCache(redis, "product").set("k", b"v", ttl_s=60)
        assert await RedisCache(redis, "reach").get("k") is None
        names = server.command("keys", "*").splitlines()
    assert sorted(names) == [
        "engine:{product}:cache-epoch",
        "engine:{product}:cache:k",
        "engine:{reach}:cache-epoch",
    ]


async def test_a_value_that_was_fetched_before_a_deletion_does_not_come_in_after_it(
    service: Service,
) -> None:
    """Whichever process brings it: the key is held for a while."""
    one, two = await service.process(hold_s=60), await service.process(hold_s=60)
    assert await one.cache.get("k") is None
    await two.cache.delete("k")
    await one.cache.set("k", b"stale", ttl_s=60)
    assert await two.cache.get("k") is None
    await one.cache.set("other", b"v", ttl_s=60)
    assert await two.cache.get("other") == b"v"


async def test_after_the_hold_a_key_takes_values_again(service: Service) -> None:
    """A deletion does not switch the cache off for that key."""
    one = await service.process()
    await one.cache.delete("k")
    async with asyncio.timeout(10):
        while await one.cache.get("k") is None:
            await one.cache.set("k", b"new", ttl_s=60)


@pytest.mark.parametrize("fault", ["kill", "pause"])
async def test_a_deletion_that_redis_did_not_get_holds_once_it_is_back(
    server: Redis, service: Service, fault: str
) -> None:
    """For all processes, also for one that slept through the outage."""
    one, two = await service.process(), await service.process()
    await one.cache.set("k", b"stale", ttl_s=600)
    assert await two.cache.get("k") == b"stale"
    getattr(server, fault)()
    await one.cache.delete("k")
    assert await one.cache.get("k") is None
    server.start() if fault == "kill" else server.resume()
    await _takes_values(one)
    assert await one.cache.get("k") is None
    assert await two.cache.get("k") is None
    assert await (await service.process()).cache.get("k") is None


async def test_what_a_crash_brought_back_is_not_seen(server: Redis, service: Service) -> None:
    """A server that dies forgets the last second, deletions among it."""
    one = await service.process()
    await one.cache.set("k", b"stale", ttl_s=600)
    server.kill()
    assert await one.cache.get("k") is None
    server.start()
    await _takes_values(one)
    assert await one.cache.get("k") is None


async def test_a_lost_epoch_empties_the_cache_and_no_more(server: Redis, service: Service) -> None:
    """An operator may flush it at any time."""
    one, two = await service.process(), await service.process()
    await one.cache.set("k", b"v", ttl_s=60)
    server.command("flushall")
    assert await one.cache.get("k") is None
    await _takes_values(two)
    await _takes_values(one)


@pytest.mark.parametrize("fault", ["kill", "pause"])
async def test_under_traffic_readers_go_to_the_source_while_redis_is_away(
    server: Redis, service: Service, fault: str
) -> None:
    """Every read is answered and right, and the cache is used again afterwards."""
    one = await service.process()
    loads = 0

    async def load(key: str) -> product_pb2.Product:
        nonlocal loads
        loads += 1
        return product_pb2.Product(code=key)

    cached = Cached(one.cache, load, of=product_pb2.Product, name="views", ttl_s=600)

    async def read(keys: range) -> None:
        for key in keys:
            found = await cached.get(str(key % 20))
            assert found is not None
            assert found.code == str(key % 20)

    async def traffic(rounds: int) -> None:
        await asyncio.gather(*(read(range(start, start + rounds)) for start in range(8)))

    await traffic(50)
    assert loads == 20
    getattr(server, fault)()
    await traffic(50)
    assert loads > 20
    assert one.meters.counter("cache.dropped").value > 0
    server.start() if fault == "kill" else server.resume()
    async with asyncio.timeout(30):
        while True:
            before = loads
            await traffic(20)
            if loads == before:
                return


async def _takes_values(process: Process) -> None:
    """Poll until the cache works again."""
    async with asyncio.timeout(30):
        while await process.cache.get("probe") is None:
            await process.cache.set("probe", b"x", ttl_s=60)
            await asyncio.sleep(0.01)
