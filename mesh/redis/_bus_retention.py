"""Forgets old events that everybody has consumed."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from mesh.log import get_logger
from mesh.redis import _bus_scripts as scripts
from mesh.redis._bus_keys import BusKeys
from mesh.redis._client import RedisClient

BATCH: Final = 10_000
"""Most entries removed in one step: some milliseconds of Redis's time."""

EVERY_S: Final = 3_600.0
"""How often a topic is looked after, by all services together."""

_log = get_logger(__name__)


class Retention:
    """Trims the topics that are used, along with their use.

    An event that a known group has not settled is never removed, however old it is.
    """

    def __init__(
        self,
        redis: RedisClient,
        keys: BusKeys,
        kept: timedelta,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._kept = kept
        self._monotonic = monotonic
        self._trim = redis.script(scripts.TRIM)
        self._next: dict[str, float] = {}

    async def look_after(self, topic: str) -> None:
        """Make the topic known, and trim it when it is time.

        Raises:
            RedisUnavailable: it is tried again the next time.
        """
        now = self._monotonic()
        if now < self._next.get(topic, now):
            return
        await self._redis.execute("SADD", self._keys.topics, topic)
        more = await self.trim(topic) == BATCH
        self._next[topic] = now if more else now + EVERY_S

    async def trim(self, topic: str) -> int:
        """Forget a batch of what may go, unless that was done lately; how many there were."""
        keys = self._keys.of(topic)
        kept_us = self._kept // timedelta(microseconds=1)
        removed: int = await self._trim(
            keys=[keys.log, keys.head, keys.offsets, keys.trimmed],
            args=[int(EVERY_S * 1_000), kept_us, BATCH],
        )
        if removed:
            _log.info("events_forgotten", topic=topic, events=removed)
        return removed
