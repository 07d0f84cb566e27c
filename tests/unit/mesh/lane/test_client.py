"""The client's end of a lane: what becomes of the calls that it is given."""

from __future__ import annotations

import sys
from unittest import mock

import grpc
import pytest

from mesh.lane.blocks import Shared
from mesh.lane.frames import (
    FRAGMENT,
    FULL_FRAMES,
    MAX_BATCH,
    MAX_METHODS,
    MAX_REQUEST,
    Kind,
    client_batch,
)
from mesh.lane.keeper import State
from tests.unit.mesh.lane.talk import life, say, state
from tests.unit.mesh.lane.world import ECHO, HOLD, MISSING, STREAMS, World

CODE = grpc.StatusCode


def test_an_answer_is_given_to_its_call(world: World) -> None:
    """Whatever order answers come in."""
    calls = [world.call(HOLD, str(n).encode()) for n in range(5)]
    world.settle()
    for n in (3, 0, 4, 1, 2):
        world.desk.tell(str(n).encode(), bytes([n]))
        world.settle()
    assert [call.reply for call in calls] == [bytes([n]) for n in range(5)]


def test_a_call_ends_as_the_server_says(world: World) -> None:
    """Status, message and metadata."""
    call = world.call(HOLD, b"x")
    world.settle()
    world.desk.refuse(b"x", (("why-bin", b"\xff"),))
    world.settle()
    assert state(call) == (CODE.FAILED_PRECONDITION, "no")
    assert call._trailing == grpc.aio.Metadata(("why-bin", b"\xff"))


def test_a_method_that_nobody_serves_is_unimplemented(world: World) -> None:
    """As in gRPC."""
    call = world.call(MISSING)
    world.settle()
    assert state(call)[0] is CODE.UNIMPLEMENTED


def test_a_method_that_lanes_do_not_serve_belongs_elsewhere(world: World) -> None:
    """It was not run; who opened the lane knows another way."""
    call = world.call(STREAMS)
    world.settle()
    assert world.keeper.elsewhere == [call]
    assert call.holder is None
    assert not world.client._in_flight


def test_no_more_calls_are_under_way_than_the_window_has_room_for(world: World) -> None:
    """The others wait, and follow as answers come."""
    calls = [world.call(HOLD, str(n).encode()) for n in range(20)]
    world.settle()
    assert len(world.client._in_flight) == 8
    assert world.client.is_full
    while world.desk.held:
        world.desk.tell(next(iter(world.desk.held)), b"")
        world.settle()
        assert len(world.client._in_flight) <= 8
    assert all(call.is_done for call in calls)


def test_without_credit_no_call_is_sent_and_with_it_they_are(world: World) -> None:
    """Credit of 0 stops new calls; those under way go on."""
    under_way = world.call(HOLD, b"under way")
    world.settle()
    say(world, control=[(Kind.CREDIT, 0, "")])
    waits = world.call(ECHO, b"waits")
    world.settle()
    assert b"waits" not in world.desk.ran
    world.desk.tell(b"under way", b"done")
    world.settle()
    assert under_way.reply == b"done"
    assert b"waits" not in world.desk.ran
    say(world, control=[(Kind.CREDIT, 8, "")])
    world.settle()
    assert waits.reply == b"waits"


def test_pieces_of_replies_are_put_together_between_others(world: World) -> None:
    """Large and small ones at once, exact to the byte."""
    large = [bytes([n]) * (3 * FRAGMENT + n) for n in range(3)]
    calls = [world.call(HOLD, str(n).encode()) for n in range(3)]
    small = world.call(HOLD, b"small")
    world.settle()
    for n, reply in enumerate(large):
        world.desk.tell(str(n).encode(), reply)
    world.desk.tell(b"small", b"s")
    world.settle()
    assert [call.reply for call in calls] == large
    assert small.reply == b"s"


@pytest.mark.parametrize("left_s", [1e12, 1e15, float(sys.maxsize), 1e300, float("inf")])
def test_a_time_limit_without_sense_is_none(world: World, left_s: float) -> None:
    """It can be sent, and harms no other call."""
    call = world.call(ECHO, b"x", left_s=left_s)
    other = world.call(ECHO, b"y")
    world.settle()
    assert (call.reply, other.reply) == (b"x", b"y")


def test_methods_are_named_once_and_no_more_than_so_many(world: World) -> None:
    """A program with more of them calls the rest the ordinary way."""
    for n in range(MAX_METHODS):
        assert world.client.knows(f"/m{n}")
        world.call(f"/m{n}")
        world.settle()
    assert not world.client.knows("/one more")
    assert world.client.knows("/m0")
    call = world.call("/m0")
    world.write(world.up)
    methods, *_ = client_batch(world.up.sent[-1])
    assert not methods
    world.settle()
    assert call.is_done


def test_a_batch_is_bounded_in_frames_and_bytes(world: World) -> None:
    """It stays far below what a peer refuses, whatever calls carry."""
    say(world, control=[(Kind.CREDIT, 4_000, "")])
    shared = [Shared([("k", str(n) * 8_000)]) for n in range(10)]
    with mock.patch.object(world.host, "window", 4_000):
        for n in range(300):
            size = MAX_REQUEST if n % 3 else 0
            own = [("x", "y" * 8_000)]
            world.call(ECHO, bytes(size), shared=shared[n % 10], own=own)
        while world.write(world.up):
            batch = world.up.sent[-1]
            assert len(batch) < MAX_BATCH // 4
            assert len(client_batch(batch)[2]) <= FULL_FRAMES
        world.settle()
    assert life(world) is State.OPEN
    assert world.client.load == 0


def test_both_ends_keep_the_same_blocks(world: World) -> None:
    """What one forgets the other does, and handlers get what was meant."""
    with mock.patch("mesh.lane.blocks.MAX_BLOCKS", 3):
        for n in range(20):
            name = str(n % 5)
            world.call(ECHO, str(n).encode(), shared=Shared([("user", name)]), own=[("n", str(n))])
            world.settle()
            pairs = world.desk.contexts[str(n).encode()].invocation_metadata()
            assert pairs == (("user", name), ("n", str(n)))
    kept = set(world.client._composer.blocks._ids.values())
    assert len(kept) == 3
    assert set(world.server._blocks) == kept | {0}
