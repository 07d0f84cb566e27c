"""The client's end of a lane as calls, or the lane itself, end before their answers."""

from __future__ import annotations

import grpc

from mesh.lane.keeper import State
from tests.unit.mesh.lane.talk import life, state
from tests.unit.mesh.lane.world import HOLD, World

CODE = grpc.StatusCode


def test_go_away_gives_back_what_the_server_did_not_take(world: World) -> None:
    """What it did take it answers; then the lane closes."""
    taken = world.call(HOLD, b"taken")
    world.settle()
    late = world.call(HOLD, b"late")
    world.write(world.up)
    world.within(world.server.go_away, "stopping")
    waits = [world.call(HOLD, str(n).encode()) for n in range(9)]
    world.settle()
    assert life(world) is State.DRAINING
    assert world.keeper.ends == [world.client]
    given_back = [(call, sent) for call, sent, _ in world.keeper.given_back]
    assert given_back == [(call, False) for call in (late, *waits)]
    assert b"late" not in world.desk.ran
    world.desk.tell(b"taken", b"reply")
    world.settle()
    assert taken.reply == b"reply"
    assert life(world) is State.CLOSED
    assert world.host.gone == [world.server]


def test_a_lost_lane_gives_back_all_and_says_what_may_have_run(world: World) -> None:
    """Those on the way may have; those that wait have not."""
    calls = [world.call(HOLD, str(n).encode()) for n in range(10)]
    world.settle()
    world.cut()
    assert [(call, sent) for call, sent, _ in world.keeper.given_back] == [
        *((call, False) for call in calls[8:]),
        *((call, True) for call in calls[:8]),
    ]
    assert world.client.closed.done()
    assert world.client.load == 0


def test_a_closed_lane_ends_what_is_under_way_first(world: World) -> None:
    """It takes no more; what waits goes back."""
    calls = [world.call(HOLD, str(n).encode()) for n in range(9)]
    world.settle()
    world.within(world.client.close)
    assert [call for call, *_ in world.keeper.given_back] == calls[8:]
    world.settle()
    assert not world.client.closed.done()
    for request in list(world.desk.held):
        world.desk.tell(request, b"")
    world.settle()
    assert world.client.closed.done()
    assert all(call.is_done for call in calls[:8])


def test_a_cancelled_call_is_cancelled_at_the_server_too(world: World) -> None:
    """Its place is free once the server has said so."""
    call = world.call(HOLD, b"x")
    world.settle()
    world.within(call.cancel)
    assert len(world.client._in_flight) == 1
    world.settle()
    assert world.desk.cancelled == [b"x"]
    assert not world.client._in_flight


def test_a_cancelled_call_that_waits_is_never_sent(world: World) -> None:
    """The server does not hear of it."""
    for n in range(8):
        world.call(HOLD, str(n).encode())
    call = world.call(HOLD, b"x")
    world.settle()
    world.within(call.cancel)
    for request in list(world.desk.held):
        world.desk.tell(request, b"")
    world.settle()
    assert b"x" not in world.desk.ran
    assert world.client.load == 0


def test_a_call_ends_when_its_deadline_has_passed(world: World) -> None:
    """Whether it is under way or waits; the others go on."""
    calls = [world.call(HOLD, str(n).encode(), left_s=1 + n % 2) for n in range(10)]
    world.settle()
    world.pass_time(1.01)
    assert [call.is_done for call in calls] == [True, False] * 5
    assert state(calls[0]) == (CODE.DEADLINE_EXCEEDED, "Deadline Exceeded")
    world.pass_time(1.01)
    world.settle()
    assert all(call.is_done for call in calls)
    assert world.client.load == 0
    assert b"8" not in world.desk.ran


def test_a_lane_that_is_lost_has_no_timers(world: World) -> None:
    """Nothing is left that would hold it."""
    world.call(HOLD, b"x")
    world.settle()
    world.cut()
    world.settle()
    left = [handle for handle in world.loop._scheduled if not handle.cancelled()]  # type: ignore[attr-defined]
    assert not left
