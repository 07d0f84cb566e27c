"""Token buckets that all processes share, kept by the server's own time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mesh.redis._client import RedisClient

_TAKE: Final = """
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local need, want = tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full_at = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
full_at = math.min(full_at, now + burst * interval)
local left = burst - (full_at - now) / interval
if left + 0.000001 < need then return {0, math.ceil((need - left) * interval)} end
local taken = math.max(need, math.min(want, math.floor(left)))
full_at = full_at + taken * interval
local left_ms = math.ceil((full_at - now) / 1000) + 1
redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', left_ms)
return {string.format('%.6f', taken), 0}
"""


@dataclass(frozen=True, slots=True)
class Grant:
    """Tokens that were taken; when there were none, the seconds until there are enough."""

    tokens: float
    wait_s: float = 0.0


class RedisLimiter:
    """Token buckets by caller, in the form of the generic cell rate algorithm.

    A bucket is one key, `engine:{limit:NAME:CALLER}`: the time, in microseconds of the
    server, at which it will be full again; it expires then.

    Args:
        name: of the kind of callers.
        rate_per_s: tokens that a bucket gains in a second.
        burst: tokens that a full bucket holds.
    """

    def __init__(self, redis: RedisClient, name: str, *, rate_per_s: float, burst: float) -> None:
        self._take = redis.script(_TAKE)
        self._name = name
        self._interval_us = 1e6 / rate_per_s
        self._burst = burst

    async def take(self, caller: str, *, need: float, want: float) -> Grant:
        """Take as many tokens as there are, up to `want`; none when there are fewer than `need`.

        Raises:
            RedisUnavailable: nobody knows; the tokens may be gone.
        """
        tokens, wait_us = await self._take(
            keys=[f"engine:{{limit:{self._name}:{caller}}}"],
            args=[self._interval_us, self._burst, min(need, self._burst), want],
        )
        return Grant(float(tokens), wait_us / 1e6)
