"""What a service is given when the settings name a Redis, and what the gateways make of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.app import BLUEPRINT as GATEWAY
from loadtests.servers import Redis
from mesh.cache import LocalCache
from mesh.redis import RedisCache
from mesh.service import Blueprint, Parts, Service
from mesh.testing import Mesh


@pytest.fixture
def server(var: Path) -> Iterator[Redis]:
    """One of the test's own: services name their keys as everywhere."""
    with Redis(var / "redis") as server:
        yield server


class Given:
    """A service that keeps the parts that it was given."""

    def __init__(self) -> None:
        self.blueprint = Blueprint(name="given", build=self._build)
        self.parts: Parts

    def _build(self, parts: Parts) -> Service:
        self.parts = parts
        return Service(servicers=())


@pytest.mark.real
async def test_a_service_shares_its_cache_when_there_is_a_redis(var: Path, server: Redis) -> None:
    """Each has the client as well, until it stops."""
    given = Given()
    async with Mesh(var, redis_url=server.url) as mesh:
        await mesh.start(given.blueprint)
        assert given.parts.redis is not None
        assert isinstance(given.parts.cache, RedisCache)
        await given.parts.cache.set("k", b"v", ttl_s=60)
        assert "engine:{given}:cache:k" in server.command("keys", "*")
    assert server.command("client", "list").count("\n") == 0


@pytest.mark.embedded
async def test_without_a_redis_the_cache_is_that_of_the_process(var: Path) -> None:
    """And no code asks which it is."""
    given = Given()
    async with Mesh(var, redis_url="") as mesh:
        await mesh.start(given.blueprint)
        assert given.parts.redis is None
        assert isinstance(given.parts.cache, LocalCache)


@pytest.mark.real
async def test_two_gateways_keep_one_rate(var: Path, server: Redis) -> None:
    """Whichever of them a caller turns to; when Redis dies each has the rate for itself."""
    settings = {"redis_url": server.url, "redis_timeout_s": 5.0}
    async with Mesh(var, rate_per_s=0.1, rate_burst=6, **settings) as mesh:
        gateways = [await mesh.start(GATEWAY, replica=number) for number in (1, 2)]

        async def statuses(user: str, count: int) -> Counter[int]:
            headers = {"authorization": f"Bearer {mesh.token(user)}"}
            found: Counter[int] = Counter()
            async with httpx.AsyncClient(headers=headers) as http:
                for number in range(count):
                    address = gateways[number % 2].entry.http
                    answer = await http.get(f"http://{address}/v1/nothing")
                    found[answer.status_code] += 1
            return found

        shared = await statuses("rm001", 12)
        assert set(shared) == {404, 429}
        assert 4 <= shared[404] <= 6
        server.kill()
        assert (await statuses("rm002", 20))[404] == 12
