"""One connection of a `Link` from end to end: two lines that delay, hold and pass on."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeAlias

CHUNK: Final = 64 << 10
ON_THE_WAY: Final = 64
"""Pieces in one direction of a connection that may be on their way at once."""

_AT_ONCE: Final = struct.pack("ii", 1, 0)
"""SO_LINGER of a socket whose close is a reset."""

End: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Way(Enum):
    """A direction."""

    THERE = "to the server"
    BACK = "to the client"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What the network is like at the moment; `over` is set when it is no longer."""

    delay_s: float = 0.0
    jitter_s: float = 0.0
    bytes_per_s: float = 0.0
    holding: frozenset[Way] = frozenset()
    refusing: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes of a link so far, in each direction: those that were sent, those that arrived."""

    taken: dict[Way, int] = field(default_factory=lambda: dict.fromkeys(Way, 0))
    passed: dict[Way, int] = field(default_factory=lambda: dict.fromkeys(Way, 0))


class Wire:
    """A connection that passes on what each end sends, in the present weather.

    Args:
        weather: asked for each piece.
        chance: of the jitter.
        traffic: counted up.
    """

    def __init__(
        self, weather: Callable[[], Weather], chance: random.Random, traffic: Traffic
    ) -> None:
        self._weather = weather
        self._random = chance
        self._traffic = traffic

    async def carry(self, client: End, server: End) -> None:
        """Carry until both ends have said all; who is cancelled meanwhile resets both.

        One end may close before the other, which is told and may go on.
        """
        ended_well = False
        try:
            ended_well = await self._both(client, server)
        finally:
            if ended_well:
                client[1].close()
                server[1].close()
            break_off(client[1], server[1])

    async def _both(self, client: End, server: End) -> bool:
        """Whether both ends closed, and neither broke off."""
        broke_off = False
        try:
            async with asyncio.TaskGroup() as lines:
                for way, source, sink in (
                    (Way.THERE, client[0], server[1]),
                    (Way.BACK, server[0], client[1]),
                ):
                    pieces: _Pieces = asyncio.Queue(ON_THE_WAY)
                    lines.create_task(self._send(way, source, pieces))
                    lines.create_task(self._deliver(way, pieces, sink))
        except* OSError:
            broke_off = True
        return not broke_off

    async def _send(self, way: Way, source: asyncio.StreamReader, pieces: _Pieces) -> None:
        free = 0.0
        data = b"-"
        while data:
            data = await source.read(CHUNK)
            self._traffic.taken[way] += len(data)
            weather, now = self._weather(), asyncio.get_running_loop().time()
            size_s = len(data) / weather.bytes_per_s if weather.bytes_per_s else 0.0
            free = max(free, now) + size_s
            late = weather.delay_s + self._random.uniform(0, weather.jitter_s)
            await pieces.put((free + late, data))

    async def _deliver(self, way: Way, pieces: _Pieces, sink: asyncio.StreamWriter) -> None:
        data = b"-"
        while data:
            due, data = await pieces.get()
            await self._travel(way, due)
            if data:
                if sink.is_closing():  # asyncio would pass over it, and uvloop raise RuntimeError
                    raise ConnectionResetError("the connection was closed")
                sink.write(data)
                await sink.drain()
                self._traffic.passed[way] += len(data)
        if not sink.is_closing():
            sink.write_eof()

    async def _travel(self, way: Way, due: float) -> None:
        left_s = due - asyncio.get_running_loop().time()
        if left_s > 0:
            await asyncio.sleep(left_s)
        while way in (weather := self._weather()).holding:
            await weather.over.wait()


_Pieces: TypeAlias = "asyncio.Queue[tuple[float, bytes]]"


def break_off(*ends: asyncio.StreamWriter) -> None:
    """End connections at once, without a farewell; those that close already are left to it."""
    for end in ends:
        if end.is_closing():
            continue
        end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        end.transport.abort()
