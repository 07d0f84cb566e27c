"""Token buckets of one process."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.limits import LocalLimiter, Rate
from mesh.clock import ManualClock


async def test_a_full_bucket_gives_its_burst_and_then_its_rate() -> None:
    """Ten at once, then one every half second."""
    clock = ManualClock()
    limiter = LocalLimiter(Rate(per_s=2.0, burst=10), clock)
    assert [await limiter.take("a", 1) for _ in range(10)] == [0.0] * 10
    assert await limiter.take("a", 1) == pytest.approx(0.5)
    clock.advance(0.5)
    assert await limiter.take("a", 1) == 0.0
    assert await limiter.take("a", 1) == pytest.approx(0.5)


async def test_callers_do_not_share() -> None:
    """One who sends too much does not hinder another."""
    limiter = LocalLimiter(Rate(per_s=1.0, burst=1), ManualClock())
    assert await limiter.take("a", 1) == 0.0
    assert await limiter.take("a", 1) > 0
    assert await limiter.take("b", 1) == 0.0


async def test_what_is_refused_costs_nothing() -> None:
    """Asking again and again does not put the end further off."""
    clock = ManualClock()
    limiter = LocalLimiter(Rate(per_s=1.0, burst=1), clock)
    await limiter.take("a", 1)
    waits = [await limiter.take("a", 1) for _ in range(5)]
    assert waits == [pytest.approx(1.0)] * 5
    clock.advance(1.0)
    assert await limiter.take("a", 1) == 0.0


async def test_dear_requests_take_more_and_at_most_a_full_bucket() -> None:
    """Otherwise one that costs more than a bucket holds could never be sent."""
    clock = ManualClock()
    limiter = LocalLimiter(Rate(per_s=1.0, burst=5), clock)
    assert await limiter.take("a", 3) == 0.0
    assert await limiter.take("a", 3) == pytest.approx(1.0)
    assert await limiter.take("b", 500) == 0.0
    assert await limiter.take("b", 1) == pytest.approx(1.0)


async def test_callers_are_bounded_and_the_longest_unused_leaves() -> None:
    """A flood of names does not fill the memory."""
    limiter = LocalLimiter(Rate(per_s=1.0, burst=1), ManualClock(), max_callers=2)
    await limiter.take("a", 1)
    await limiter.take("b", 1)
    await limiter.take("c", 1)
    assert await limiter.take("b", 1) > 0
    assert await limiter.take("a", 1) == 0.0


@given(steps=st.lists(st.tuples(st.floats(0, 3), st.integers(1, 4)), max_size=60))
async def test_never_more_than_burst_and_rate_allow(steps: list[tuple[float, int]]) -> None:
    """Over any stretch of time, what is let through is burst + rate × time at most."""
    clock = ManualClock()
    limiter = LocalLimiter(Rate(per_s=2.0, burst=5), clock)
    taken = 0
    for pause, cost in steps:
        clock.advance(pause)
        if not await limiter.take("a", cost):
            taken += cost
        assert taken <= 5 + 2.0 * clock.monotonic() + 1e-6
