"""The client's end of a lane while it opens."""

from __future__ import annotations

from mesh.lane import hello as opening
from mesh.lane.frames import (
    MAX_BATCH,
    ServerBatch,
    encode,
)
from mesh.lane.keeper import State
from tests.unit.mesh.lane.talk import life
from tests.unit.mesh.lane.world import ECHO, World


def test_calls_given_before_it_is_open_go_out_then() -> None:
    """A first call waits for the lane."""
    with World() as world:
        call = world.call(ECHO, b"x")
        assert not world.write(world.up)
        world.settle()
        assert call.reply == b"x"


def test_it_is_open_when_the_server_has_taken_it_in() -> None:
    """Not yet when the server only says who it is: it may refuse us."""
    with World() as world:
        call = world.call(ECHO, b"x")
        world.write(world.down)
        world.deliver(world.down)
        assert life(world) is State.OPENING
        world.write(world.up)
        assert world.up.sent
        world.deliver(world.up)
        assert not call.is_done
        world.write(world.down)
        world.deliver(world.down)
        assert life(world) is State.OPEN


def test_a_server_that_goes_away_as_it_opens_is_not_taken_for_one_that_refuses() -> None:
    """Both may come in one batch: calls that wait may go elsewhere."""
    with World() as world:
        call = world.call(ECHO, b"x")
        for wire in (world.down, world.up):
            world.write(wire)
            world.deliver(wire)
        world.within(world.server.go_away, "stopping")
        world.settle()
        assert world.keeper.given_back == [(call, False, "stopping")]
        assert world.client.opened.result() is None


def test_a_server_of_another_kind_has_no_lanes() -> None:
    """What opens a lane must be a hello."""
    with World() as world:
        world.feed(world.up, b"HTTP/1.1 400 Bad Request")
        assert "does not speak lanes" in str(world.client.opened.exception())


def test_what_a_server_says_before_it_is_open_is_bounded() -> None:
    """A stranger cannot make a client hold a whole batch."""
    with World() as world:
        assert world.client.max_batch == opening.MAX_HELLO
        world.settle()
        assert world.client.max_batch == MAX_BATCH


def test_an_answer_before_the_lane_is_open_is_passed_over() -> None:
    """Nothing is under way then."""
    with World() as world:
        world.write(world.down)
        world.deliver(world.down)
        early: ServerBatch = ([], [(1, b"x")], [], [])
        world.feed(world.up, encode(early))
        assert life(world) is State.OPENING
