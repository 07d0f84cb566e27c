"""Limits that all gateway processes keep together, without a round trip for each request.

A process takes tokens out of the shared bucket in small batches and spends them by
itself; the next batch is on its way before the last one is spent.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import suppress
from typing import Final, Protocol, Self

from gateway.limits import MAX_CALLERS, LocalLimiter, OpenLimiter, Rate
from mesh.clock import Clock
from mesh.log import get_logger
from mesh.redis import Grant, RedisClient, RedisLimiter, RedisRefused, RedisUnavailable
from mesh.telemetry import Meters

LEASE_S: Final = 0.05
"""A batch is what the rate yields in this time, and one token at least."""

AWAY_S: Final = 0.05
"""For so long after a failure nobody asks Redis again."""

_log = get_logger(__name__)


class SharedBuckets(Protocol):
    """Where the buckets are."""

    async def take(self, caller: str, *, need: float, want: float) -> Grant:
        """Take tokens, up to `want`; none when there are fewer than `need`."""


class Sharing:
    """What the limiters of a process have in common: their tasks, and whether Redis is there."""

    def __init__(self, clock: Clock, meters: Meters, *, max_callers: int = MAX_CALLERS) -> None:
        self.clock = clock
        self.max_callers = max_callers
        self.local = meters.counter("limits.local")
        self._alone_since: float | None = None
        self._ask_at = 0.0
        self._tasks: set[asyncio.Task[bool]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Wait for what is on its way; each has a deadline."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    def keep(self, task: asyncio.Task[bool]) -> None:
        """Look after a task until it ends."""
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    @property
    def asks(self) -> bool:
        """Whether it is worth asking Redis now."""
        return self._alone_since is None or self.clock.monotonic() >= self._ask_at

    def heard(self, *, alone: bool) -> None:
        """Whether Redis answered; a change is logged."""
        now = self.clock.monotonic()
        if alone:
            self._ask_at = now + AWAY_S
            if self._alone_since is None:
                self._alone_since = now
                _log.warning("limits_local")
        elif self._alone_since is not None:
            _log.info("limits_shared", away_s=round(now - self._alone_since, 3))
            self._alone_since = None

    def _ended(self, task: asyncio.Task[bool]) -> None:
        self._tasks.discard(task)
        with suppress(asyncio.CancelledError):
            task.exception()  # those who waited have it


class SharedLimiter:
    """A `gateway.limits.Limiter` over buckets in Redis.

    Over any stretch of time callers get through at most what burst and rate allow, and one
    batch more for each process: what it held at the beginning. While Redis is away each
    process keeps the whole rate for itself.
    """

    def __init__(self, buckets: SharedBuckets, rate: Rate, sharing: Sharing) -> None:
        self.batch = max(1.0, rate.per_s * LEASE_S)
        self._buckets = buckets
        self._burst = rate.burst
        self._sharing = sharing
        self._alone = LocalLimiter(rate, sharing.clock, max_callers=sharing.max_callers)
        self._leases: OrderedDict[str, _Lease] = OrderedDict()

    async def take(self, caller: str, cost: float) -> float:
        cost = min(cost, self._burst)
        lease = self._lease(caller)
        while lease.tokens < cost:
            wait_s = lease.wait_s(cost, self._sharing.clock.monotonic())
            if wait_s > 0:
                return wait_s
            filled = self._sharing.asks and await asyncio.shield(
                self._filling(caller, lease, cost - lease.tokens)
            )
            if not filled:
                self._sharing.local.add()
                return await self._alone.take(caller, cost)
        lease.tokens -= cost
        self._look_ahead(caller, lease)
        return 0.0

    def _look_ahead(self, caller: str, lease: _Lease) -> None:
        """Ask for the next batch when half of this one is spent."""
        low = lease.tokens < self.batch / 2
        if low and self._sharing.asks and lease.until <= self._sharing.clock.monotonic():
            self._filling(caller, lease, 1.0)

    def _lease(self, caller: str) -> _Lease:
        lease = self._leases.get(caller)
        if lease is None:
            lease = self._leases[caller] = _Lease()
            if len(self._leases) > self._sharing.max_callers:
                self._leases.popitem(last=False)
        else:
            self._leases.move_to_end(caller)
        return lease

    def _filling(self, caller: str, lease: _Lease, need: float) -> asyncio.Task[bool]:
        """The batch on its way; one at a time."""
        if lease.filling is None:
            lease.filling = asyncio.create_task(self._fill(caller, lease, need))
            self._sharing.keep(lease.filling)
        return lease.filling

    async def _fill(self, caller: str, lease: _Lease, need: float) -> bool:
        want = max(need, self.batch - lease.tokens)
        try:
            grant = await self._buckets.take(caller, need=need, want=want)
        except (RedisUnavailable, RedisRefused):
            self._sharing.heard(alone=True)
            return False
        finally:
            lease.filling = None
        self._sharing.heard(alone=False)
        lease.tokens += grant.tokens
        lease.missing = 0.0 if grant.tokens else need
        lease.until = self._sharing.clock.monotonic() + grant.wait_s
        return True


class _Lease:
    """The tokens that this process holds for a caller, and what it was refused last."""

    __slots__ = ("filling", "missing", "tokens", "until")

    def __init__(self) -> None:
        self.tokens = 0.0
        self.missing = 0.0
        self.until = 0.0
        self.filling: asyncio.Task[bool] | None = None

    def wait_s(self, cost: float, now: float) -> float:
        """Seconds until it is worth asking again for what is missing to `cost`."""
        refused = 0 < self.missing <= cost - self.tokens
        return self.until - now if refused else 0.0


def shared_limiters(redis: RedisClient, sharing: Sharing) -> OpenLimiter:
    """Limiters that all processes with this Redis share."""

    def opened(name: str, rate: Rate) -> SharedLimiter:
        buckets = RedisLimiter(redis, name, rate_per_s=rate.per_s, burst=rate.burst)
        return SharedLimiter(buckets, rate, sharing)

    return opened
