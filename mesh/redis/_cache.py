"""The cache that all processes of a service share.

A key holds the epoch in which it was set, and its value. All keys of a service share one
slot, so that the epoch in force comes along with each value: what was set in another epoch
is not there. A process that could not delete a key begins a new epoch before it uses the
cache again: nothing that it meant to delete is seen any more, by anybody.
"""

from __future__ import annotations

import secrets
from typing import Final

from mesh.clock import Clock, SystemClock
from mesh.log import get_logger
from mesh.redis._client import RedisClient
from mesh.redis._errors import RedisRefused, RedisUnavailable
from mesh.telemetry import Meters

HOLD_S: Final = 2.0
"""For so long after a deletion the key takes no value: one that was fetched before it may come."""

_EPOCH_BYTES: Final = 8
_HELD: Final = b""

_SET: Final = """
if redis.call('STRLEN', KEYS[1]) == 0 and redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

_log = get_logger(__name__)


class RedisCache:
    """A `mesh.cache.Cache` in Redis, under `engine:{SERVICE}:cache:…`.

    Without Redis it is empty: `get` finds nothing, `set` and `delete` do nothing. A value
    that should have been deleted then is gone once Redis is back; if this process ends
    before that, its time to live bounds how long it may still be seen.
    """

    def __init__(
        self,
        redis: RedisClient,
        service: str,
        *,
        hold_s: float = HOLD_S,
        meters: Meters | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._redis = redis
        self._prefix = f"engine:{{{service}}}:cache:"
        self._epoch_key = f"engine:{{{service}}}:cache-epoch"
        self._set = redis.script(_SET)
        self._hold_s = hold_s
        self._clock = clock or SystemClock()
        self._dropped = (meters or Meters()).counter("cache.dropped")
        self._epoch: bytes | None = None
        self._held_until = 0.0
        self._outdated = False

    async def get(self, key: str) -> bytes | None:
        """The value; None also when Redis is away."""
        try:
            await self._begun()
            both = await self._redis.execute("MGET", self._epoch_key, self._prefix + key)
        except (RedisUnavailable, RedisRefused):
            self._lost()
            return None
        epoch: bytes | None = both[0]
        kept: bytes = both[1] or b""
        self._see(epoch)
        return kept[_EPOCH_BYTES:] if epoch and kept.startswith(epoch) else None

    async def set(self, key: str, value: bytes, *, ttl_s: float) -> None:
        """Keep the value, unless the key was deleted just now or Redis is away."""
        try:
            epoch = await self._begun()
            if self._clock.monotonic() < self._held_until:
                return
            millis = max(1, round(ttl_s * 1000))
            await self._set(keys=[self._prefix + key], args=[epoch + value, millis])
        except (RedisUnavailable, RedisRefused):
            self._lost()

    async def delete(self, key: str) -> None:
        """Forget the key, and whatever is set for it within the next two seconds."""
        try:
            await self._begun()
            millis = round(self._hold_s * 1000)
            await self._redis.execute("SET", self._prefix + key, _HELD, "PX", millis)
        except (RedisUnavailable, RedisRefused):
            self._outdated = True
            self._lost()

    async def _begun(self) -> bytes:
        """The epoch in force as far as this process knows; a new one if it owes that."""
        if self._outdated:
            epoch = secrets.token_bytes(_EPOCH_BYTES)
            await self._redis.execute("SET", self._epoch_key, epoch)
            self._outdated = False
            self._see(epoch)
            _log.info("cache_epoch_begun")
        if self._epoch is None:
            await self._redis.execute("SET", self._epoch_key, secrets.token_bytes(8), "NX")
            self._see(await self._redis.execute("GET", self._epoch_key))
        if self._epoch is None:
            raise RedisUnavailable("the epoch of the cache does not stay")
        return self._epoch

    def _see(self, epoch: bytes | None) -> None:
        """Take note of the epoch in force; what is being fetched may be from before it."""
        if self._epoch is not None and epoch != self._epoch:
            self._held_until = self._clock.monotonic() + self._hold_s
        self._epoch = epoch

    def _lost(self) -> None:
        """After an outage nothing is trusted: a crash loses what was deleted last."""
        self._dropped.add()
        if not self._redis.available:
            self._outdated = True
