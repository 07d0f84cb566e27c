"""So that many callers of one server do once what has to be done once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary


class Turns:
    """Turns by the identity of a sequence."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, uid: int) -> AsyncIterator[bool]:
        """Wait for those who are at it already; answers whether there were none."""
        lock = self._locks.setdefault(uid, asyncio.Lock())
        is_first = not lock.locked()
        async with lock:
            yield is_first
