"""Sessions that ended before their tokens expire, told to everybody who checks tokens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence

from centers.identity.domain import Revocation
from centers.identity.errors import IdentityReason
from mesh.clock import Clock
from mesh.errors import MeshError

MAX_WAITING = 10_000
BLOCK = 1_000


class RevocationFeed:
    """The revocations in force, and those who watch them.

    Args:
        clock: decides which are still in force.
        apply: called with each revocation as it happens, before any watcher.
        max_waiting: revocations that a watcher may leave unread.
    """

    def __init__(
        self,
        clock: Clock,
        apply: Callable[[Revocation], None],
        *,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._clock = clock
        self._apply = apply
        self._max_waiting = max_waiting
        self._in_force: dict[str, Revocation] = {}
        self._watchers: set[_Watcher] = set()
        self._closed = False

    def publish(self, revocations: Iterable[Revocation]) -> None:
        """Tell everybody of those that nobody was told of yet."""
        self._forget_expired()
        now = self._clock.now()
        ended = tuple(
            one for one in revocations if one.expires > now and one.session_id not in self._in_force
        )
        for revocation in ended:
            self._in_force[revocation.session_id] = revocation
            self._apply(revocation)
        if ended:
            for watcher in self._watchers:
                watcher.push(ended)

    async def watch(self) -> AsyncGenerator[Sequence[Revocation], None]:
        """Blocks of revocations: first those in force, then each as it happens.

        The first block comes at once, and is empty when there are none. The watch
        ends when the feed is closed.

        Raises:
            MeshError: WATCHER_TOO_SLOW; watch again.
        """
        watcher = _Watcher(self._max_waiting)
        self._watchers.add(watcher)
        try:
            self._forget_expired()
            for block in _blocks(tuple(self._in_force.values())):
                yield block
            while not self._closed and (taken := await watcher.take()):
                for block in _blocks(taken):
                    yield block
        finally:
            self._watchers.discard(watcher)

    def close(self) -> None:
        """End every watch, those that begin later too, so that nothing holds up a stop."""
        self._closed = True
        for watcher in self._watchers:
            watcher.end()

    def _forget_expired(self) -> None:
        now = self._clock.now()
        self._in_force = {r.session_id: r for r in self._in_force.values() if r.expires > now}


class _Watcher:
    """What one watcher has not read yet."""

    def __init__(self, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        self._waiting: list[Revocation] = []
        self._overrun = False
        self._arrived = asyncio.Event()

    def push(self, revocations: Sequence[Revocation]) -> None:
        self._overrun |= len(self._waiting) + len(revocations) > self._max_waiting
        if not self._overrun:
            self._waiting.extend(revocations)
        self._arrived.set()

    def end(self) -> None:
        self._arrived.set()

    async def take(self) -> Sequence[Revocation]:
        """What arrived since; empty at the end."""
        await self._arrived.wait()
        self._arrived.clear()
        if self._overrun:
            raise MeshError(IdentityReason.WATCHER_TOO_SLOW)
        taken, self._waiting = self._waiting, []
        return taken


def _blocks(revocations: Sequence[Revocation]) -> Iterable[Sequence[Revocation]]:
    starts = range(0, max(len(revocations), 1), BLOCK)
    return (revocations[start : start + BLOCK] for start in starts)
