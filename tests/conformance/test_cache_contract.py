"""What every cache must do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mesh.cache import Cache, LocalCache
from mesh.clock import ManualClock

OPENERS: list[Callable[[ManualClock], Cache]] = [
    lambda clock: LocalCache(max_entries=3, clock=clock),
]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=OPENERS, ids=["local"])
def cache(request: pytest.FixtureRequest, clock: ManualClock) -> Cache:
    opened: Cache = request.param(clock)
    return opened


async def test_a_value_is_kept_until_its_time_is_up(cache: Cache, clock: ManualClock) -> None:
    """The entry is gone at its expiry, not after it."""
    await cache.set("k", b"v", ttl_s=10)
    clock.advance(9.9)
    assert await cache.get("k") == b"v"
    clock.advance(0.1)
    assert await cache.get("k") is None


async def test_what_was_never_set_is_not_there(cache: Cache) -> None:
    """A miss is None."""
    assert await cache.get("k") is None


async def test_setting_again_replaces_value_and_time(cache: Cache, clock: ManualClock) -> None:
    """The newest value counts, with its own time."""
    await cache.set("k", b"1", ttl_s=1)
    await cache.set("k", b"2", ttl_s=10)
    clock.advance(5)
    assert await cache.get("k") == b"2"


async def test_deleting_forgets_and_may_be_repeated(cache: Cache) -> None:
    """A second delete is no error."""
    await cache.set("k", b"v", ttl_s=10)
    await cache.delete("k")
    await cache.delete("k")
    assert await cache.get("k") is None


async def test_a_local_cache_forgets_the_least_recently_used_first() -> None:
    """The bound holds, and use protects."""
    cache = LocalCache(max_entries=2)
    await cache.set("a", b"", ttl_s=10)
    await cache.set("b", b"", ttl_s=10)
    await cache.get("a")
    await cache.set("c", b"", ttl_s=10)
    assert await cache.get("b") is None
    assert await cache.get("a") == b""
