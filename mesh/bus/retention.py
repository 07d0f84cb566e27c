"""Forgets old events that everybody has consumed."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from mesh.background import Background
from mesh.clock import Clock
from mesh.log import get_logger
from mesh.storage import StorageError

BATCH: Final = 500
PURGE_EVERY_S: Final = 3_600.0

_log = get_logger(__name__)


class Log(Protocol):
    """Where the events are."""

    async def oldest(self, after: int, before: datetime, most: int) -> Sequence[tuple[int, str]]:
        """Places and topics behind a place, in their order, of events appended before a moment."""

    async def forget(self, positions: Collection[int]) -> int:
        """Remove events; how many there were."""


class Offsets(Protocol):
    """Where it is known how far each group is."""

    async def slowest(self) -> Mapping[str, int]:
        """For each topic that a group consumes: up to where all its groups are done."""


class Retention(Background):
    """Removes events older than `kept` for as long as it is entered.

    One that a known group has not consumed is never removed, however old it is.
    """

    def __init__(self, log: Log, offsets: Offsets, kept: timedelta, clock: Clock) -> None:
        self._events = log
        self._offsets = offsets
        self._kept = kept
        self._clock = clock

    async def _run(self) -> None:
        while True:
            try:
                await self.purge()
            except StorageError as error:
                _log.warning("purge_failed", error=type(error).__name__)
            await asyncio.sleep(PURGE_EVERY_S)

    async def purge(self) -> int:
        """Remove what may go now, a batch at a time; how many there were."""
        before = self._clock.now() - self._kept
        slowest = await self._offsets.slowest()
        removed = after = 0
        while batch := await self._events.oldest(after, before, BATCH):
            after = batch[-1][0]
            gone = [place for place, topic in batch if place <= slowest.get(topic, place)]
            if gone:
                removed += await self._events.forget(gone)
            await asyncio.sleep(0)  # a slow group may keep very many, which are only looked at
        return removed
