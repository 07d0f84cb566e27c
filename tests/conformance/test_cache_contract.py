"""What every cache must do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from uuid import uuid4

import pytest

from loadtests.servers import Redis, RedisCluster
from mesh.cache import Cache, LocalCache
from mesh.clock import ManualClock
from mesh.redis import RedisCache, RedisClient


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A cache, and a way to let time pass for it."""

    cache: Cache
    elapse: Callable[[float], Awaitable[None]]


async def local(_: pytest.FixtureRequest, __: AsyncExitStack) -> Subject:
    clock = ManualClock()

    async def elapse(seconds: float) -> None:
        clock.advance(seconds)

    return Subject(cache=LocalCache(max_entries=3, clock=clock), elapse=elapse)


async def single(request: pytest.FixtureRequest, stack: AsyncExitStack) -> Subject:
    server: Redis = request.getfixturevalue("redis_server")
    return await _shared(server.url, stack)


async def cluster(request: pytest.FixtureRequest, stack: AsyncExitStack) -> Subject:
    servers: RedisCluster = request.getfixturevalue("redis_cluster")
    return await _shared(servers.url, stack)


async def _shared(url: str, stack: AsyncExitStack) -> Subject:
    service = uuid4().hex
    redis = await stack.enter_async_context(RedisClient(url, timeout_s=5))

    async def elapse(seconds: float) -> None:
        """The server's time cannot be moved: what its keys have left is shortened instead."""
        key = f"engine:{{{service}}}:cache:k"
        left = await redis.execute("PTTL", key)
        if left > 0:
            await redis.execute("PEXPIRE", key, left - round(seconds * 1000))

    return Subject(cache=RedisCache(redis, service), elapse=elapse)


@pytest.fixture(
    params=[
        local,
        pytest.param(single, marks=pytest.mark.real),
        pytest.param(cluster, marks=pytest.mark.real),
    ],
    ids=["local", "redis", "cluster"],
)
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    async with AsyncExitStack() as stack:
        yield await request.param(request, stack)


async def test_a_value_is_kept_until_its_time_is_up(subject: Subject) -> None:
    """The entry is gone at its expiry."""
    await subject.cache.set("k", b"v", ttl_s=100)
    await subject.elapse(90)
    assert await subject.cache.get("k") == b"v"
    await subject.elapse(10)
    assert await subject.cache.get("k") is None


async def test_what_was_never_set_is_not_there(subject: Subject) -> None:
    """A miss is None."""
    assert await subject.cache.get("k") is None


async def test_setting_again_replaces_value_and_time(subject: Subject) -> None:
    """The newest value counts, with its own time."""
    await subject.cache.set("k", b"1", ttl_s=10)
    await subject.cache.set("k", b"2", ttl_s=100)
    await subject.elapse(50)
    assert await subject.cache.get("k") == b"2"


async def test_deleting_forgets_and_may_be_repeated(subject: Subject) -> None:
    """A second delete is no error."""
    await subject.cache.set("k", b"v", ttl_s=10)
    await subject.cache.delete("k")
    await subject.cache.delete("k")
    assert await subject.cache.get("k") is None


@pytest.mark.parametrize("value", [b"", b"\x00\r\n\xff", b"x" * 100_000])
async def test_a_value_is_any_bytes(subject: Subject, value: bytes) -> None:
    """None at all is a value as well."""
    await subject.cache.set("k", value, ttl_s=10)
    assert await subject.cache.get("k") == value


async def test_a_local_cache_forgets_the_least_recently_used_first() -> None:
    """The bound holds, and use protects."""
    cache = LocalCache(max_entries=2)
    await cache.set("a", b"", ttl_s=10)
    await cache.set("b", b"", ttl_s=10)
    await cache.get("a")
    await cache.set("c", b"", ttl_s=10)
    assert await cache.get("b") is None
    assert await cache.get("a") == b""
