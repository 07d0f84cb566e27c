"""The client's end of a lane with a server that breaks rules: what it takes, and what ends it."""

from __future__ import annotations

import pytest

from mesh.lane.frames import (
    MAX_BATCH,
    MAX_REPLY,
    MAX_WINDOW,
    Kind,
)
from mesh.lane.keeper import State
from tests.unit.mesh.lane.talk import life, say
from tests.unit.mesh.lane.world import HOLD, World


def test_a_window_that_is_too_large_is_not_believed(world: World) -> None:
    """What is kept for answers is bounded, whatever a server says."""
    say(world, control=[(Kind.CREDIT, 1 << 40, "")])
    assert world.client._window == MAX_WINDOW


def test_a_reply_without_end_closes_the_lane(world: World) -> None:
    """What is put together is bounded."""
    call = world.call(HOLD, b"x")
    world.settle()
    piece = bytes(MAX_BATCH - 100)
    for _ in range(MAX_REPLY // len(piece) + 1):
        say(world, [(1, piece)])
    assert life(world) is State.CLOSED
    assert world.keeper.given_back[0][:2] == (call, True)
    assert call.pieces is None


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        (([(9, b"")],), "answers call 9"),
        (([], [(9, b"")]), "answers call 9"),
        (([], [(1, b""), (1, b"")]), "answers call 1"),
        (([], [], [(9, 0, "", [], [], b"")]), "answers call 9"),
        (([], [], [(1, 5, "", [], [("k", b"\xff")], b"")]), "not ASCII"),
        (([], [], [(1, 5, "", [("k", b"\xff")], [], b"")]), "not ASCII"),
    ],
)
def test_a_server_that_breaks_a_rule_loses_the_lane(
    world: World, frames: tuple[object, ...], reason: str
) -> None:
    """Every call ends, or goes back to who opened the lane: also the one the frame was about."""
    calls = [world.call(HOLD, str(n).encode()) for n in range(12)]
    world.settle()
    say(world, *frames)
    assert life(world) is State.CLOSED
    assert world.up.is_closed
    given_back = {call.request: sent for call, sent, _ in world.keeper.given_back}
    assert reason in world.keeper.given_back[0][2]
    for number, call in enumerate(calls):
        assert call.is_done != (call.request in given_back)
        if not call.is_done:
            assert given_back[call.request] is (number < 8)


@pytest.mark.parametrize("kind", [0, Kind.CANCEL, Kind.DROP, 7, 127])
def test_control_that_is_not_the_servers_closes_the_lane(world: World, kind: int) -> None:
    """It may mean something that must not be passed over."""
    say(world, control=[(kind, 1, "")])
    assert life(world) is State.CLOSED


def test_a_server_that_pings_without_end_closes_the_lane(world: World) -> None:
    """Answers that nobody reads are not kept without bound."""
    say(world, control=[(Kind.PING, number, "") for number in range(MAX_WINDOW)])
    assert life(world) is State.OPEN
    say(world, control=[(Kind.PING, number, "") for number in range(MAX_WINDOW + 1)])
    assert life(world) is State.CLOSED


def test_control_that_is_optional_is_passed_over(world: World) -> None:
    """A later version may say more."""
    say(world, control=[(128, 1, ""), (1 << 30, 1, "")])
    assert life(world) is State.OPEN
