"""Limits over a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from gateway.leases import Sharing, shared_limiters
from gateway.limits import Limiter, Rate
from loadtests.servers import Redis, RedisCluster
from mesh.clock import SystemClock
from mesh.redis import RedisClient, RedisLimiter
from mesh.telemetry import Meters

pytestmark = pytest.mark.real

SLOW = 0.001
"""Tokens a second: none comes while a test runs."""


@pytest.fixture(params=["redis_server", "redis_cluster"])
async def redis(request: pytest.FixtureRequest) -> AsyncIterator[RedisClient]:
    server: Redis | RedisCluster = request.getfixturevalue(request.param)
    async with RedisClient(server.url, timeout_s=5) as redis:
        yield redis


async def test_a_full_bucket_gives_its_burst_and_then_tells_when(redis: RedisClient) -> None:
    """As many as are wanted, or what there is; none when that is too little."""
    limiter = RedisLimiter(redis, uuid4().hex, rate_per_s=SLOW, burst=10)
    assert (await limiter.take("a", need=1, want=4)).tokens == 4
    assert (await limiter.take("a", need=1, want=8)).tokens == 6
    refused = await limiter.take("a", need=2, want=8)
    assert refused.tokens == 0
    assert refused.wait_s == pytest.approx(2 / SLOW, rel=0.1)
    assert (await limiter.take("b", need=1, want=1)).tokens == 1


async def test_a_need_above_the_bucket_counts_as_a_full_one(redis: RedisClient) -> None:
    """It would never be met otherwise."""
    limiter = RedisLimiter(redis, uuid4().hex, rate_per_s=SLOW, burst=10)
    assert (await limiter.take("a", need=500, want=500)).tokens == 10


async def test_a_bucket_that_is_full_again_takes_no_room(redis: RedisClient) -> None:
    """Its key lives until then."""
    name = uuid4().hex
    await RedisLimiter(redis, name, rate_per_s=1, burst=100).take("a", need=50, want=50)
    assert 49_000 < await redis.execute("PTTL", f"engine:{{limit:{name}:a}}") <= 50_002


async def test_two_gateways_together_let_through_what_one_would(redis: RedisClient) -> None:
    """Less what they hold: a batch of one each."""
    async with AsyncExitStack() as stack:
        name, rate = uuid4().hex, Rate(per_s=SLOW, burst=20)
        gateways = [await _gateway(redis, name, rate, stack) for _ in range(2)]
        waits = await asyncio.gather(
            *(gateways[number % 2].take("a", 1) for number in range(60)),
        )
        assert 18 <= waits.count(0.0) <= 20


async def _gateway(redis: RedisClient, name: str, rate: Rate, stack: AsyncExitStack) -> Limiter:
    sharing = await stack.enter_async_context(Sharing(SystemClock(), Meters()))
    return shared_limiters(redis, sharing)(name, rate)


@pytest.fixture
def server(var: Path) -> Iterator[Redis]:
    """One that a test may break."""
    with Redis(var / "redis") as server:
        yield server


@pytest.mark.parametrize("fault", ["kill", "pause"])
async def test_without_redis_a_gateway_limits_by_itself_and_shares_again_by_itself(
    server: Redis, fault: str
) -> None:
    """What was spent meanwhile is not held against anybody."""
    async with RedisClient(server.url, timeout_s=3) as redis, AsyncExitStack() as stack:
        meters = Meters()
        sharing = await stack.enter_async_context(Sharing(SystemClock(), meters))
        limiter = shared_limiters(redis, sharing)("user", Rate(per_s=SLOW, burst=20))
        assert [await limiter.take("a", 1) for _ in range(5)] == [0.0] * 5
        getattr(server, fault)()
        waits = [await limiter.take("b", 1) for _ in range(50)]
        assert waits.count(0.0) == 20
        assert meters.counter("limits.local").value == 50
        server.start() if fault == "kill" else server.resume()
        async with asyncio.timeout(30):
            while await redis_knows(server, "c") == "0":
                await limiter.take("c", 1)
                await asyncio.sleep(0.01)


async def redis_knows(server: Redis, caller: str) -> str:
    return server.command("exists", f"engine:{{limit:user:{caller}}}")
