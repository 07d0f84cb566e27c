"""A TCP proxy that makes a network bad: slow, cut, half open, or closed."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Self, TypeVar

CHUNK: Final = 64 << 10
CONNECT_S: Final = 5.0
_LOOK_S: Final = 0.02

T = TypeVar("T")


class Way(Enum):
    """A direction."""

    THERE = "to the server"
    BACK = "to the client"


@dataclass(frozen=True, slots=True)
class _Weather:
    """What the network is like at the moment."""

    delay_s: float = 0.0
    jitter_s: float = 0.0
    bytes_per_s: float = 0.0
    holding: frozenset[Way] = frozenset()
    refusing: bool = False


class Proxy:
    """Listens on a port of its own and passes on to a server, from a thread of its own.

    A context manager; what it does to the network can be changed at any time from any
    thread, and holds for connections that are open already.

    Args:
        target: host and port of the server.
        seed: of the jitter.
    """

    def __init__(self, target: tuple[str, int], *, seed: int = 0) -> None:
        self._target = target
        self._random = random.Random(seed)  # noqa: S311 - the weather is no secret
        self._weather = _Weather()
        self._links: set[_Link] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self.accepted = 0
        """Connections that were taken so far."""
        self.passed = dict.fromkeys(Way, 0)
        """Bytes that were passed on so far."""
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._ask(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._ask(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def delay(self, seconds: float, *, jitter_s: float = 0.0, bytes_per_s: float = 0.0) -> None:
        """Let each piece of data take longer, in both directions.

        Args:
            seconds: for each piece.
            jitter_s: at most so much more, by chance.
            bytes_per_s: what a direction carries; 0: all there is.
        """
        self._weather = _Weather(delay_s=seconds, jitter_s=jitter_s, bytes_per_s=bytes_per_s)

    def hold(self, *ways: Way) -> None:
        """Half open: connections stay and are taken, and nothing comes through.

        Args:
            ways: only these; `Way.BACK`: the server hears all and is not heard.
        """
        self._weather = _Weather(holding=frozenset(ways or Way))

    def refuse(self) -> None:
        """Cut what is open, and close each new connection at once."""
        self._weather = _Weather(refusing=True)
        self.cut()

    def cut(self) -> None:
        """Reset all connections that are open; new ones are taken."""
        self._loop.call_soon_threadsafe(self._reset_all)

    def heal(self) -> None:
        """Pass everything on at once again, also what was held."""
        self._weather = _Weather()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        link = _Link(writer)
        self._links.add(link)
        try:
            if self._weather.refusing:
                return
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(CONNECT_S):
                    behind, other = await asyncio.open_connection(*self._target)
                link.add(other)
                await self._pass_both(link, (Way.THERE, reader, other), (Way.BACK, behind, writer))
        finally:
            self._links.discard(link)
            link.reset()

    async def _pass_both(
        self,
        link: _Link,
        *ways: tuple[Way, asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        link.tasks = [asyncio.ensure_future(self._pass(*way)) for way in ways]
        try:
            await asyncio.wait(link.tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in link.tasks:
                task.cancel()
            await asyncio.gather(*link.tasks, return_exceptions=True)

    async def _pass(
        self, way: Way, source: asyncio.StreamReader, sink: asyncio.StreamWriter
    ) -> None:
        while data := await source.read(CHUNK):
            await self._travel(way, len(data))
            sink.write(data)
            await sink.drain()
            self.passed[way] += len(data)

    async def _travel(self, way: Way, size: int) -> None:
        while way in (weather := self._weather).holding:  # noqa: ASYNC110 - changed from other threads
            await asyncio.sleep(_LOOK_S)
        wait_s = weather.delay_s + self._random.uniform(0, weather.jitter_s)
        if weather.bytes_per_s:
            wait_s += size / weather.bytes_per_s
        if wait_s:
            await asyncio.sleep(wait_s)

    async def _close(self) -> None:
        self._server.close()
        self._reset_all()
        while self._links:  # noqa: ASYNC110 - a few milliseconds, at the very end
            await asyncio.sleep(_LOOK_S)
        await self._server.wait_closed()

    def _reset_all(self) -> None:
        for link in [*self._links]:
            link.reset()

    def _ask(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CONNECT_S)


class _Link:
    """One connection from end to end."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writers = [writer]
        self.tasks: list[asyncio.Future[None]] = []

    def add(self, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)

    def reset(self) -> None:
        """End both sides at once, without a farewell."""
        for task in self.tasks:
            task.cancel()
        for writer in self._writers:
            end = writer.get_extra_info("socket")
            if end is not None and end.fileno() >= 0:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
