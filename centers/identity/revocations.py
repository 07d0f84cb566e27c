"""Sessions that ended before their tokens expire, told to everybody who checks tokens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from centers.identity.domain import Revocation
from centers.identity.errors import IdentityReason
from mesh.clock import Clock
from mesh.errors import MeshError, MeshReason

MAX_WAITING: Final = 10_000
BLOCK: Final = 1_000
WAIT_S: Final = 1.0
"""How long who asks waits for news or a sign of life."""
HEARTBEAT_S: Final = 0.7
"""How long watchers are left without a message while nothing ends: with the time between two
looks it stays below the second in which they must hear something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What a watcher is told at once.

    `place` is how far the news reaches. `epoch` is that of the rights: tokens of earlier ones
    are refused. While there is `more` of what is in force, or it cannot be told whether there
    is, nothing stands yet.
    """

    revocations: Sequence[Revocation] = ()
    place: int = 0
    epoch: int = 0
    more: bool = False


class RevocationFeed:
    """The revocations in force, and those who watch them.

    Args:
        clock: decides which are still in force, and when it is time for a sign of life.
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
        self._place = self._epoch = 0
        self.published = asyncio.Event()
        """Set when something was: the next beat had better not wait."""
        self._turn = asyncio.Event()
        self._beat_at = self._told_at = float("-inf")
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
            self.published.set()
            for watcher in self._watchers:
                watcher.push(ended)

    def beat(self, epoch: int, place: int = 0) -> None:
        """All that ended anywhere until now was published, up to `place`; it is `epoch` now.

        Who asks or watches hears of another place or epoch at once, and else when it is time.
        """
        now = self._beat_at = self._clock.monotonic()
        is_same = (epoch, place) == (self._epoch, self._place)
        if is_same and now - self._told_at < HEARTBEAT_S:
            return
        self._epoch, self._place, self._told_at = epoch, place, now
        turn, self._turn = self._turn, asyncio.Event()
        turn.set()
        for watcher in self._watchers:
            watcher.beat()

    async def since(self, place: int, epoch: int) -> News:
        """What ended behind a place; when that is nothing, after the next sign of life.

        Answers in any case after `WAIT_S`, and at once when the feed is closed.

        Raises:
            MeshError: UNAVAILABLE, when the feed was closed before; ask another process.
        """
        if self._closed:
            raise MeshError(MeshReason.UNAVAILABLE, "The process is about to stop")
        has_news = (place, epoch) != (self._place, self._epoch) and self._is_current
        if not has_news:
            with suppress(TimeoutError):
                async with asyncio.timeout(WAIT_S):
                    await self._turn.wait()
        return self._news_behind(place)

    async def watch(self) -> AsyncGenerator[News, None]:
        """First those in force, in blocks, then each as it happens, and signs of life.

        The first block comes at once, and is empty when there are none. The watch
        ends when the feed is closed.

        Raises:
            MeshError: WATCHER_TOO_SLOW; watch again.
        """
        watcher = _Watcher(self._max_waiting)
        self._watchers.add(watcher)
        try:
            self._forget_expired()
            for news in self._blocks(tuple(self._in_force.values()), beats=self._is_current):
                yield news
            while not self._closed:
                taken, beats = await watcher.take()
                if taken or beats:
                    for news in self._blocks(taken, beats=beats):
                        yield news
        finally:
            self._watchers.discard(watcher)

    def close(self) -> None:
        """End every watch, those that begin later too, so that nothing holds up a stop."""
        self._closed = True
        self._turn.set()
        for watcher in self._watchers:
            watcher.end()

    @property
    def _is_current(self) -> bool:
        """Whether what other processes ended is known here as well."""
        return self._clock.monotonic() - self._beat_at < HEARTBEAT_S

    def _news_behind(self, place: int) -> News:
        """At most a block; a place that is not ours yet, or no more, is none."""
        found: list[Revocation] = []
        if place != self._place:
            behind = place if place < self._place else 0
            found = sorted(
                (one for one in self._in_force.values() if one.place > behind),
                key=lambda one: one.place,
            )
        block, is_all = found[:BLOCK], len(found) <= BLOCK
        return News(
            revocations=block,
            place=self._place if is_all else block[-1].place,
            epoch=self._epoch,
            more=not (is_all and self._is_current),
        )

    def _blocks(self, revocations: Sequence[Revocation], *, beats: bool) -> Iterable[News]:
        """The news; without a beat they are no sign that nothing else has ended."""
        starts = range(0, max(len(revocations), 1), BLOCK)
        for start in starts:
            is_last = start == starts[-1]
            yield News(
                revocations=revocations[start : start + BLOCK],
                epoch=self._epoch,
                more=not (is_last and beats),
            )

    def _forget_expired(self) -> None:
        now = self._clock.now()
        self._in_force = {r.session_id: r for r in self._in_force.values() if r.expires > now}


class _Watcher:
    """What one watcher has not read yet."""

    def __init__(self, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        self._waiting: list[Revocation] = []
        self._overrun = False
        self._beats = False
        self._arrived = asyncio.Event()

    def push(self, revocations: Sequence[Revocation]) -> None:
        self._overrun |= len(self._waiting) + len(revocations) > self._max_waiting
        if not self._overrun:
            self._waiting.extend(revocations)
        self._arrived.set()

    def beat(self) -> None:
        self._beats = True
        self._arrived.set()

    def end(self) -> None:
        self._arrived.set()

    async def take(self) -> tuple[Sequence[Revocation], bool]:
        """What arrived since, and whether that is all; nothing at the end."""
        await self._arrived.wait()
        self._arrived.clear()
        if self._overrun:
            raise MeshError(IdentityReason.WATCHER_TOO_SLOW)
        taken, self._waiting = self._waiting, []
        beats, self._beats = self._beats, False
        return taken, beats
