"""What tests of the client's end of a lane say as its server, and see."""

from __future__ import annotations

import grpc

from mesh.lane.call import UnaryCall
from mesh.lane.frames import (
    encode,
)
from mesh.lane.keeper import State
from tests.unit.mesh.lane.world import World


def say(world: World, *frames: object, control: object = ()) -> None:
    """The server says this: pieces, replies, endings; and control."""
    pieces, replies, endings = (*frames, (), (), ())[:3]
    world.feed(world.up, encode((pieces, replies, endings, control)))  # type: ignore[arg-type]


def life(world: World) -> State:
    """Where the lane is in its life."""
    return world.client.state


def state(call: UnaryCall) -> tuple[grpc.StatusCode, str]:
    """How a call has ended."""
    return call._code, call._details
