"""The client's end of a lane: what becomes of the calls that it is given."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from unittest import mock

import grpc
import pytest

from mesh.lane import hello as opening
from mesh.lane.blocks import Shared
from mesh.lane.call import UnaryCall
from mesh.lane.frames import (
    FRAGMENT,
    FULL_FRAMES,
    MAX_BATCH,
    MAX_METHODS,
    MAX_REPLY,
    MAX_REQUEST,
    MAX_WINDOW,
    Kind,
    ServerBatch,
    client_batch,
    encode,
)
from mesh.lane.keeper import State
from mesh.lane.vigil import IDLE_S, PONG_S, SILENT_S, TICK_S
from tests.unit.mesh.lane.world import ECHO, HOLD, MISSING, STREAMS, World

CODE = grpc.StatusCode


@pytest.fixture
def world() -> Iterator[World]:
    """A lane that is open."""
    with World() as world:
        world.settle()
        assert life(world) is State.OPEN
        yield world


def say(world: World, *frames: object, control: object = ()) -> None:
    """The server says this: pieces, replies, endings."""
    pieces, replies, endings = (*frames, (), (), ())[:3]
    world.feed(world.up, encode((pieces, replies, endings, control)))  # type: ignore[arg-type]


def life(world: World) -> State:
    """Where the lane is in its life."""
    return world.client.state


def state(call: UnaryCall) -> tuple[grpc.StatusCode, str]:
    return call._code, call._details


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


def test_a_window_that_is_too_large_is_not_believed(world: World) -> None:
    """What is kept for answers is bounded, whatever a server says."""
    say(world, control=[(Kind.CREDIT, 1 << 40, "")])
    assert world.client._window == MAX_WINDOW


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


# Silence.


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
    assert world.keeper.given_back == [(call, True, "the server is silent")]
    assert world.up.is_closed


def test_a_server_that_owes_nothing_is_asked_seldom(world: World) -> None:
    """An idle lane costs next to nothing."""
    for _ in range(int(IDLE_S / TICK_S) - 2):
        world.pass_time(TICK_S)
    assert world.client._vigil._pings == 0
    for _ in range(4):
        world.pass_time(TICK_S)
    assert world.client._vigil._pings == 1


def test_a_client_that_was_busy_itself_blames_nobody(world: World) -> None:
    """The answer may lie unread in its own socket."""
    world.call(HOLD, b"x")
    world.settle()
    for _ in range(10):
        world.pass_time(60)
    assert life(world) is State.OPEN


def test_a_lane_that_is_lost_has_no_timers(world: World) -> None:
    """Nothing is left that would hold it."""
    world.call(HOLD, b"x")
    world.settle()
    world.cut()
    world.settle()
    left = [handle for handle in world.loop._scheduled if not handle.cancelled()]  # type: ignore[attr-defined]
    assert not left


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
