"""A network between clients and a server that can be made bad: slow, cut, half open."""

from __future__ import annotations

import asyncio
import random
import tempfile
from contextlib import ExitStack, suppress
from enum import Enum
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from mesh.testing._wire import Traffic, Way, Weather, Wire, break_off

__all__ = ["CONNECT_S", "Link", "Way"]

CONNECT_S: Final = 5.0
"""How long connecting to the server may take."""


class _Kind(Enum):
    """What an address begins with."""

    UNIX = "unix:"
    TLS = "tls:"
    TCP = ""

    @classmethod
    def of(cls, address: str) -> _Kind:
        return next(kind for kind in cls if address.startswith(kind.value))


class Link:
    """Listens at an address of its own and passes on to a server, in the running loop.

    An async context manager. What it does to the network can be changed at any time and
    holds for connections that are open already. It is in one state at a time: what is asked
    for takes the place of what was before.

    Args:
        target: where the server listens: "host:port", "unix:/path", or "tls:host:port",
            whose encrypted bytes are passed on as they are.
        seed: of the jitter.
    """

    def __init__(self, target: str, *, seed: int = 0) -> None:
        self._kind = _Kind.of(target)
        self._target = target.removeprefix(self._kind.value)
        self._random = random.Random(seed)  # noqa: S311 - the weather is no secret
        self._weather = Weather()
        self._open: set[asyncio.Future[None]] = set()
        self._stack = ExitStack()
        self.accepted = 0
        """Connections that were taken so far."""
        self._traffic = Traffic()
        self.address = ""
        """Where clients connect, of the same kind as the target."""

    @property
    def taken(self) -> dict[Way, int]:
        """Bytes that were sent so far, also those that are still on their way, or held."""
        return self._traffic.taken

    @property
    def passed(self) -> dict[Way, int]:
        """Bytes that were passed on so far."""
        return self._traffic.passed

    async def __aenter__(self) -> Self:
        if self._kind is _Kind.UNIX:
            folder = tempfile.TemporaryDirectory(prefix="link-")
            path = Path(self._stack.enter_context(folder)) / "link.sock"
            self._server = await asyncio.start_unix_server(self._taken, path)
            self.address = f"unix:{path}"
        else:
            self._server = await asyncio.start_server(self._taken, "127.0.0.1", 0)
            port = self._server.sockets[0].getsockname()[1]
            self.address = f"{self._kind.value}127.0.0.1:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._stack:
            self._server.close()
            self.cut()
            await asyncio.gather(*self._open, return_exceptions=True)
            await self._server.wait_closed()

    def delay(self, seconds: float, *, jitter_s: float = 0.0, bytes_per_s: float = 0.0) -> None:
        """Let all data arrive later, in both directions.

        Args:
            seconds: between sending and arrival; many pieces may be on their way.
            jitter_s: at most so much more, by chance; the order stays.
            bytes_per_s: what a direction of a connection carries; 0: all there is.
        """
        self._change(Weather(delay_s=seconds, jitter_s=jitter_s, bytes_per_s=bytes_per_s))

    def half_open(self, *ways: Way) -> None:
        """Let nothing through: connections stay and are taken, and all data is held.

        Args:
            ways: only these; `Way.BACK`: the server hears all and is not heard.
        """
        self._change(Weather(holding=frozenset(ways or Way)))

    def cut(self) -> None:
        """Reset what is open, and each new connection at once, until `mend`."""
        self._change(Weather(refusing=True))
        self.reset()

    def reset(self) -> None:
        """Reset all connections that are open; new ones are taken."""
        for task in self._open:
            task.cancel()

    def mend(self) -> None:
        """Pass everything on at once again, also what was held."""
        self._change(Weather())

    def _change(self, weather: Weather) -> None:
        before, self._weather = self._weather, weather
        before.over.set()

    def _taken(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self._weather.refusing:
            break_off(writer)
            return
        task = asyncio.ensure_future(self._carry(reader, writer))
        self._open.add(task)
        task.add_done_callback(partial(self._ended, writer))

    def _ended(self, writer: asyncio.StreamWriter, task: asyncio.Future[None]) -> None:
        self._open.discard(task)
        break_off(writer)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(CONNECT_S):
                server = await self._connect()
            wire = Wire(lambda: self._weather, self._random, self._traffic)
            await wire.carry((reader, writer), server)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._kind is _Kind.UNIX:
            return await asyncio.open_unix_connection(self._target)
        host, _, port = self._target.rpartition(":")
        return await asyncio.open_connection(host.strip("[]"), int(port))
