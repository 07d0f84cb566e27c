"""Wakes those who wait for events, without a look at the database."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from mesh.errors import MeshError, MeshReason

ALL: Final = ""
"""Names every topic."""


class News:
    """Who waits for which topic."""

    def __init__(self) -> None:
        self._listening: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._closed = False

    @contextmanager
    def of(self, topic: str) -> Iterator[asyncio.Event]:
        """An event that is set once there is something new from now on; `ALL` listens to each.

        Begin to listen before you look whether there is something already.

        Raises:
            MeshError: UNAVAILABLE, once it is closed.
        """
        if self._closed:
            raise MeshError(MeshReason.UNAVAILABLE, "The bus is stopping")
        heard = asyncio.Event()
        self._listening[topic].add(heard)
        try:
            yield heard
        finally:
            self._listening[topic].discard(heard)
            if not self._listening[topic]:
                del self._listening[topic]

    def tell(self, topics: Iterable[str]) -> None:
        """There is something new in these topics."""
        for topic in {*topics, ALL}:
            for heard in self._listening.get(topic, ()):
                heard.set()

    def close(self) -> None:
        """Let nobody wait any more: who does is woken, who comes is refused."""
        self._closed = True
        self.tell([*self._listening])


async def heard_within(heard: asyncio.Event, seconds: float) -> bool:
    """Wait for news, that long at most; whether there are any."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await heard.wait()
    return heard.is_set()
