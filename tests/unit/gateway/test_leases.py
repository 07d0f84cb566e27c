"""Limits that processes share by leasing tokens from one bucket."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.leases import SharedLimiter, Sharing
from gateway.limits import Rate
from mesh.clock import ManualClock
from mesh.redis import Grant, RedisUnavailable
from mesh.telemetry import Meters


@dataclass
class Bucket:
    """One bucket for all callers, as Redis would keep it."""

    rate: Rate
    clock: ManualClock
    away: bool = False
    asked: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()
        self._left = self.rate.burst
        self._at = self.clock.monotonic()

    async def take(self, _: str, *, need: float, want: float) -> Grant:
        self.asked += 1
        await self.gate.wait()
        if self.away:
            raise RedisUnavailable("away")
        now = self.clock.monotonic()
        self._left = min(self.rate.burst, self._left + (now - self._at) * self.rate.per_s)
        self._at = now
        if self._left + 1e-6 < need:
            return Grant(0, (need - self._left) / self.rate.per_s)
        taken = max(need, min(want, self._left // 1))
        self._left -= taken
        return Grant(taken)


@dataclass
class Fleet:
    """Processes that share a bucket."""

    rate: Rate
    processes: int = 1
    clock: ManualClock = field(default_factory=ManualClock)
    meters: Meters = field(default_factory=Meters)

    def __post_init__(self) -> None:
        self.bucket = Bucket(self.rate, self.clock)
        self.limiters = [
            SharedLimiter(self.bucket, self.rate, Sharing(self.clock, self.meters))
            for _ in range(self.processes)
        ]

    async def take(self, process: int = 0, cost: float = 1) -> float:
        wait_s = await self.limiters[process].take("a", cost)
        for _ in range(3):  # what was asked for ahead arrives
            await asyncio.sleep(0)
        return wait_s

    async def taken(self, count: int, process: int = 0) -> int:
        return [await self.take(process) for _ in range(count)].count(0.0)


async def test_a_batch_is_spent_without_asking() -> None:
    """And the next one is fetched when half of it is gone."""
    fleet = Fleet(Rate(per_s=400, burst=100))
    assert fleet.limiters[0].batch == 20
    assert await fleet.taken(10) == 10
    assert fleet.bucket.asked == 1
    assert await fleet.taken(30) == 30
    assert fleet.bucket.asked == 4


async def test_nobody_waits_while_the_next_batch_is_on_its_way() -> None:
    """As long as there is something left of this one."""
    fleet = Fleet(Rate(per_s=400, burst=100))
    await fleet.take()
    fleet.bucket.gate.clear()
    assert await fleet.taken(19) == 19
    late = asyncio.create_task(fleet.take())
    await asyncio.sleep(0)
    assert not late.done()
    fleet.bucket.gate.set()
    assert await late == 0.0


async def test_two_processes_together_keep_to_one_bucket() -> None:
    """What one has spent the other does not get; what it holds it can still spend."""
    fleet = Fleet(Rate(per_s=20, burst=10), processes=2)
    assert [await fleet.taken(7, process) for process in (0, 1, 0)] == [7, 2, 1]


async def test_who_is_refused_is_told_how_long_and_bothers_redis_no_more() -> None:
    """Until it is worth asking."""
    fleet = Fleet(Rate(per_s=2, burst=2))
    await fleet.taken(2)
    assert await fleet.take() == pytest.approx(0.5)
    asked = fleet.bucket.asked
    fleet.clock.advance(0.2)
    assert await fleet.take() == pytest.approx(0.3)
    assert fleet.bucket.asked == asked
    fleet.clock.advance(0.3)
    assert await fleet.take() == 0.0


async def test_dear_requests_take_more_and_at_most_a_full_bucket() -> None:
    """Otherwise one that costs more than a bucket holds could never be sent."""
    fleet = Fleet(Rate(per_s=1, burst=5))
    assert await fleet.take(cost=500) == 0.0
    assert await fleet.take(cost=2) > 0


async def test_a_crowd_that_waits_for_the_same_batch_gets_what_there_is() -> None:
    """No more and no less."""
    fleet = Fleet(Rate(per_s=20, burst=40))
    waits = await asyncio.gather(*(fleet.take() for _ in range(100)))
    assert waits.count(0.0) == 40


async def test_while_redis_is_away_the_process_keeps_the_rate_by_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is said once, counted, and over by itself."""
    fleet = Fleet(Rate(per_s=20, burst=10))
    fleet.bucket.away = True
    with caplog.at_level(logging.INFO, "engine"):
        assert await fleet.taken(30) == 10
        assert fleet.meters.counter("limits.local").value == 30
        assert fleet.bucket.asked == 1
        fleet.bucket.away = False
        fleet.clock.advance(1)
        await fleet.take()
    assert [record.message for record in caplog.records] == ["limits_local", "limits_shared"]
    assert fleet.meters.counter("limits.local").value == 30


async def test_a_caller_who_leaves_does_not_take_the_batch_along() -> None:
    """It is spent by the next."""
    fleet = Fleet(Rate(per_s=400, burst=100))
    fleet.bucket.gate.clear()
    first, second = (asyncio.create_task(fleet.take()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    fleet.bucket.gate.set()
    assert await second == 0.0
    assert fleet.bucket.asked == 1


async def test_callers_are_bounded() -> None:
    """A flood of names does not fill the memory; who is forgotten asks again."""
    clock = ManualClock()
    bucket = Bucket(Rate(per_s=400, burst=100), clock)
    limiter = SharedLimiter(bucket, bucket.rate, Sharing(clock, Meters(), max_callers=2))
    for caller in "abcb":
        await limiter.take(caller, 1)
    assert bucket.asked == 3
    await limiter.take("a", 1)
    assert bucket.asked == 4


@given(
    steps=st.lists(st.tuples(st.floats(0, 0.3), st.integers(0, 2), st.integers(1, 4)), max_size=60)
)
async def test_over_any_time_no_more_than_burst_rate_and_a_batch_each(
    steps: list[tuple[float, int, int]],
) -> None:
    """The excess is what the processes held at the beginning of that time."""
    fleet = Fleet(Rate(per_s=80, burst=10), processes=3)
    slack = 3 * fleet.limiters[0].batch
    passed: list[tuple[float, int]] = []
    for pause, process, cost in steps:
        fleet.clock.advance(pause)
        if not await fleet.take(process, cost):
            passed.append((fleet.clock.monotonic(), cost))
    for index, (begin, _) in enumerate(passed):
        total = 0
        for moment, cost in passed[index:]:
            total += cost
            assert total <= 10 + 80 * (moment - begin) + slack + 1e-6
