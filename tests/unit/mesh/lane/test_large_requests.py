"""Requests that a server does not take over lanes: its hello says how large they may be."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from mesh.lane import hello as opening
from mesh.lane.frames import MAX_REQUEST, client_batch
from mesh.lane.keeper import State
from tests.unit.mesh.lane.fuzzing import CREDIT
from tests.unit.mesh.lane.world import ECHO, World

SMALL_TAKER = opening.write(opening.ServerHello(opening.MAGIC, max_request=100))
LARGE_TAKER = opening.write(opening.ServerHello(opening.MAGIC, max_request=1 << 40))
OLDER = msgspec.msgpack.encode([opening.MAGIC, 1, 1, 0, 8])


@pytest.fixture
def world() -> Iterator[World]:
    """A lane that is not open yet."""
    with World() as world:
        yield world


def greet(world: World, hello: bytes) -> None:
    for batch in (hello, CREDIT):
        world.feed(world.up, batch)
    assert world.client.state is State.OPEN
    world.write(world.up)


def sent(world: World) -> list[bytes]:
    """The requests of the next batch."""
    assert world.write(world.up)
    return [frame[-1] for frame in client_batch(world.up.sent[-1])[2]]


def test_what_is_above_the_servers_bound_is_given_back(world: World) -> None:
    """It was not sent, so it may go the ordinary way; the others are."""
    greet(world, SMALL_TAKER)
    calls = [world.call(ECHO, bytes(size)) for size in (100, 101, 0)]
    assert [len(request) for request in sent(world)] == [100, 0]
    assert world.keeper.large == [calls[1]]
    assert calls[1].holder is None
    assert world.client.load == 2


def test_calls_that_waited_for_the_lane_are_measured_too(world: World) -> None:
    """What the server takes is known once it has said hello."""
    call = world.call(ECHO, bytes(101))
    greet(world, SMALL_TAKER)
    assert sent(world) == []
    assert world.keeper.large == [call]
    assert world.client.load == 0


@pytest.mark.parametrize("hello", [OLDER, LARGE_TAKER], ids=["says nothing", "says more"])
def test_no_request_is_larger_than_lanes_take(world: World, hello: bytes) -> None:
    """Whatever a server of another version says of it."""
    greet(world, hello)
    calls = [world.call(ECHO, bytes(MAX_REQUEST + more)) for more in (1, 0)]
    assert [len(request) for request in sent(world)] == [MAX_REQUEST]
    assert world.keeper.large == calls[:1]
