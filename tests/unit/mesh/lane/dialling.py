"""Dials the lanes of a peer by hand."""

from __future__ import annotations

import asyncio
from typing import Any

from mesh.lane.call import UnaryCall
from mesh.lane.client import ClientLane
from mesh.lane.dial import Endpoint
from mesh.lane.frames import (
    Kind,
    ServerBatch,
    encode,
)
from mesh.peer import (
    Peer,
)
from tests.unit.mesh.lane.fuzzing import SERVER_HELLO
from tests.unit.mesh.lane.world import CUT, Wire

PATH = "/t.T/Do"
ENDPOINT = Endpoint("unix:/nowhere/plain.sock", ("unix:/nowhere/s.lane",))


class Calls:
    """What a peer says of calls that its lanes did not bring back."""

    def __init__(self) -> None:
        self.given_back: list[tuple[UnaryCall, bool]] = []
        self.carried: list[UnaryCall] = []

    def returned(self, call: UnaryCall, peer: Peer, *, sent: bool, reason: str) -> None:
        self.given_back.append((call, sent))

    def carry(self, call: UnaryCall, peer: Peer) -> None:
        self.carried.append(call)


class Dialler:
    """Dials when the test says so; `window` calls may be under way on a lane."""

    def __init__(self) -> None:
        self.window = 2
        self.tried: list[ClientLane] = []
        self.contexts: list[Any] = []
        self._ends: asyncio.Queue[Exception | None] = asyncio.Queue()

    async def __call__(self, lane: ClientLane, *_: Any) -> None:
        self.tried.append(lane)
        end = await self._ends.get()
        if end is not None:
            raise end
        wire = Wire()
        wire.session = lane
        lane.attach(wire)
        lane.feed(SERVER_HELLO)
        wire.write()
        credit: ServerBatch = ([], [], [], [(Kind.CREDIT, self.window, "")])
        lane.feed(encode(credit))

    async def end(self, error: Exception | None = None) -> None:
        """The attempt that is under way, or the next one, ends like this."""
        self._ends.put_nowait(error)
        for _ in range(5):
            await asyncio.sleep(0)


def call(path: str = PATH) -> UnaryCall:
    """A call that nobody has sent."""
    return UnaryCall(path, b"", None, float("inf"))


def carrier(lane: ClientLane) -> Wire:
    """What carries a lane that stands."""
    assert isinstance(lane._carrier, Wire)
    return lane._carrier


async def opened(peer: Peer, dialler: Dialler) -> ClientLane:
    """The first lane of a peer, which stands."""
    peer.lane(PATH)
    await dialler.end()
    return dialler.tried[0]


async def filled(peer: Peer, dialler: Dialler) -> ClientLane:
    """The first lane of a peer, with as many calls as it takes."""
    lane = await opened(peer, dialler)
    while not lane.is_full:
        lane.submit(call())
    return lane


def lose(lane: ClientLane) -> None:
    """The connection of a lane is gone."""
    lane.detached(carrier(lane), CUT)
