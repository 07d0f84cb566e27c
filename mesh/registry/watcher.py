"""One who watches the table: what has changed since he last looked, each thing once.

A slow watcher costs a bounded amount of memory: he keeps the names of what has changed and no
old states. When the names are too many he is told the whole table instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol, Self

from mesh.registry._base import Entry, Route

Key = tuple[str, str]
"""Names an instance by service and instance; a service's route has no instance."""

MAX_PENDING: Final = 1_000
"""Names that a watcher keeps; with more, the whole table is shorter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What has changed, or with `is_whole` all that is watched. Empty: nothing has."""

    version: int
    is_whole: bool = False
    is_settled: bool = True
    entries: tuple[Entry, ...] = ()
    left: tuple[Key, ...] = ()
    routes: tuple[Route, ...] = ()


class Watched(Protocol):
    """The table, as a watcher needs it."""

    def changes(self, keys: Iterable[Key]) -> Change:
        """What these are now."""

    def whole(self, services: frozenset[str]) -> Change:
        """All of what somebody watches."""

    def unwatch(self, watcher: Watcher) -> None:
        """Watch no longer."""


class Watcher:
    """Made by `Table.watch`; a context manager that ends the watch."""

    def __init__(self, table: Watched, services: frozenset[str]) -> None:
        self._table = table
        self._services = services
        self._pending: dict[Key, None] = {}
        self._is_whole = True
        self._is_closed = False
        self._woken = asyncio.Event()
        self._woken.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._table.unwatch(self)

    @property
    def pending(self) -> int:
        """Names of what has changed since he last looked."""
        return len(self._pending)

    async def next(self, wait_s: float) -> Change | None:
        """What has changed, first of all the whole; an empty change after `wait_s` without any.

        None: the registry stops.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._woken.wait()
        self._woken.clear()
        if self._is_closed:
            return None
        pending, self._pending = self._pending, {}
        if self._is_whole:
            self._is_whole = False
            return self._table.whole(self._services)
        return self._table.changes(pending)

    def touch(self, key: Key) -> None:
        """Something has changed."""
        if self._services and key[0] not in self._services:
            return
        self._woken.set()
        if self._is_whole:
            return
        self._pending[key] = None
        if len(self._pending) > MAX_PENDING:
            self.start_over()

    def start_over(self) -> None:
        """Tell the whole next."""
        self._pending.clear()
        self._is_whole = True
        self._woken.set()

    def wake(self) -> None:
        """Let him look now, though nothing has changed."""
        self._woken.set()

    def close(self) -> None:
        """Let him watch no longer."""
        self._is_closed = True
        self._woken.set()


def key_of(entry: Entry) -> Key:
    """The name of an instance."""
    return entry.service, entry.instance
