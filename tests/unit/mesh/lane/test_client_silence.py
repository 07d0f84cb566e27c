"""The client's end of a lane when the server is silent."""

from __future__ import annotations

import pytest

from mesh.lane.frames import Kind
from mesh.lane.keeper import State
from mesh.lane.vigil import IDLE_S, PONG_S, SILENT_S, TICK_S
from tests.unit.mesh.lane.talk import life, say
from tests.unit.mesh.lane.world import HOLD, World


def test_a_server_that_is_silent_is_asked_and_when_it_answers_all_is_well(world: World) -> None:
    """It may only be slow."""
    world.call(HOLD, b"x")
    for _ in range(40):
        world.settle()
        world.pass_time(TICK_S)
    assert life(world) is State.OPEN
    assert world.client._vigil._pings > 2


def test_a_server_that_does_not_say_that_it_is_there_is_given_up(world: World) -> None:
    """Its calls go back: they may have run."""
    call = world.call(HOLD, b"x")
    world.settle()
    waited = 0.0
    while life(world) is State.OPEN:
        world.pass_time(TICK_S)
        waited += TICK_S
        assert waited <= SILENT_S + PONG_S + 4 * TICK_S
    assert world.keeper.problems == ["the server is silent"]
    assert world.keeper.given_back == [(call, True, "the server is silent")]
    assert world.up.is_closed


@pytest.mark.parametrize("into_a_tick", [0.0, 0.1, 0.25, 0.45])
def test_when_a_server_is_given_up_does_not_depend_on_the_ticks(
    world: World, into_a_tick: float
) -> None:
    """What waits for it goes elsewhere as soon as it may, however the looks fall."""
    world.pass_time(into_a_tick)
    world.call(HOLD, b"x")
    world.settle()
    say(world, control=[(Kind.PONG, 0, "")])
    waited, step = 0.0, TICK_S / 20
    while life(world) is State.OPEN:
        world.pass_time(step)
        waited += step
    assert SILENT_S + PONG_S <= waited <= SILENT_S + PONG_S + 4 * step


def test_a_server_that_owes_nothing_is_asked_seldom(world: World) -> None:
    """An idle lane costs next to nothing."""
    for _ in range(int(IDLE_S / TICK_S) - 2):
        world.pass_time(TICK_S)
    assert world.client._vigil._pings == 0
    for _ in range(4):
        world.pass_time(TICK_S)
    assert world.client._vigil._pings == 1


def test_a_server_that_owes_answers_on_another_way_is_asked_as_often(world: World) -> None:
    """Streams have nobody else who would miss it."""
    world.keeper.waits = True
    waited = 0.0
    while life(world) is State.OPEN:
        world.pass_time(TICK_S)
        waited += TICK_S
        assert waited <= SILENT_S + PONG_S + 4 * TICK_S
    assert world.keeper.problems == ["the server is silent"]


def test_a_client_that_was_busy_itself_blames_nobody(world: World) -> None:
    """The answer may lie unread in its own socket."""
    world.call(HOLD, b"x")
    world.settle()
    for _ in range(10):
        world.pass_time(60)
    assert life(world) is State.OPEN
