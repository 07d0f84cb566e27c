"""Bytes by key, for a time; and the cache within a process."""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

from mesh.clock import Clock, SystemClock


class Cache(Protocol):
    """Bytes by key, for a time. Losing an entry is never an error."""

    async def get(self, key: str) -> bytes | None:
        """The value, or None when it is not there (any more)."""

    async def set(self, key: str, value: bytes, *, ttl_s: float) -> None:
        """Keep `value` for at most `ttl_s` seconds."""

    async def delete(self, key: str) -> None:
        """Forget the key."""


class LocalCache:
    """A cache within this process, bounded in entries; the least recently used leaves first."""

    def __init__(self, *, max_entries: int = 10_000, clock: Clock | None = None) -> None:
        self._entries: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._max_entries = max_entries
        self._clock = clock or SystemClock()

    async def get(self, key: str) -> bytes | None:
        found = self._entries.get(key)
        if found is None:
            return None
        expires, value = found
        if expires <= self._clock.monotonic():
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return value

    async def set(self, key: str, value: bytes, *, ttl_s: float) -> None:
        self._entries[key] = (self._clock.monotonic() + ttl_s, value)
        self._entries.move_to_end(key)
        while len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)

    async def delete(self, key: str) -> None:
        self._entries.pop(key, None)
