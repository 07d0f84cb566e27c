"""The server's end of a lane: what it runs, in what bounds, and what it tells."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import grpc
import pytest

from mesh.lane import hello as opening
from mesh.lane.frames import (
    MAX_BLOCK_BYTES,
    MAX_METADATA,
    MAX_METHODS,
    MAX_REPLY,
    Kind,
    LaneError,
    encode,
    server_batch,
)
from mesh.lane.serving import Method
from tests.unit.mesh.lane.world import ECHO, HOLD, MISSING, World

module = importlib.import_module("mesh.lane.server")
CODE = grpc.StatusCode
NAMES = [(1, HOLD), (2, ECHO), (3, MISSING)]


@pytest.fixture
def world() -> Iterator[World]:
    """A server's lane that is open; what it hears is made up by the test."""
    with World() as world:
        world.write(world.down)
        world.feed(world.down, opening.write(opening.ClientHello(opening.MAGIC)))
        hear(world, NAMES)
        heard(world)
        yield world


def hear(
    world: World,
    methods: Any = (),
    blocks: Any = (),
    calls: Any = (),
    control: Any = (),
) -> None:
    """The client says this."""
    world.feed(world.down, encode((methods, blocks, calls, control)))


def call(number: int, method: int = 1, *, due_us: int = 0, block: int = 0, own: Any = ()) -> Any:
    return number, method, due_us, block, b"", own, str(number).encode()


def heard(world: World) -> tuple[list[Any], list[Any], list[Any]]:
    """What the server has said since: replies, endings, control."""
    for _ in range(4):
        world.loop.step()
    replies, endings, control = [], [], []
    while world.write(world.down):
        world.loop.step()
    while world.down.sent:
        batch = world.down.sent.popleft()
        if b"engine-lane" in batch[:16]:
            continue
        _, one, two, three = server_batch(batch)
        replies += one
        endings += two
        control += three
    return replies, endings, control


def refusal(world: World) -> str:
    """Why the lane was closed, as the client is told."""
    assert world.down.is_closed
    control = server_batch(world.down.sent[-1])[3]
    kind, _, reason = control[-1]
    assert kind == Kind.GO_AWAY
    return str(reason)


def test_calls_are_run_and_answered(world: World) -> None:
    """Each by its number."""
    hear(world, calls=[call(1, 2), call(2, 2)])
    assert heard(world) == ([(1, b"1"), (2, b"2")], [], [])


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ({"calls": [call(2, 2), call(1, 2)]}, "call 1 comes after call 2"),
        ({"calls": [call(0, 2)]}, "call 0 comes after"),
        ({"calls": [call(1, 9)]}, "was not said"),
        ({"calls": [call(1, 2, block=9)]}, "was not said"),
        ({"calls": [call(n, 2) for n in range(1, 10)]}, "more than 8 calls"),
        ({"methods": [(1, "/again")]}, "named twice"),
        ({"methods": [(n + 9, "/m") for n in range(MAX_METHODS)]}, "named twice, or too many"),
        ({"blocks": [(1, []), (1, [])]}, "said twice"),
        ({"blocks": [(0, [])]}, "said twice"),
        ({"blocks": [(1, [("k", b"\xff")])]}, "not ASCII"),
        ({"calls": [call(1, 2, own=[("k", b"\xff")])]}, "not ASCII"),
        ({"blocks": [(n + 1, [("k", b"v" * 8_000)]) for n in range(9)]}, "more metadata"),
        ({"control": [(Kind.DROP, 1, "")]}, "block 1 of metadata is not known"),
        ({"control": [(Kind.DROP, 0, "")]}, "block 0"),
        ({"control": [(Kind.CREDIT, 1, "")]}, "kind 2"),
        ({"control": [(Kind.GO_AWAY, 1, "")]}, "kind 3"),
        ({"control": [(127, 1, "")]}, "kind 127"),
    ],
)
def test_a_client_that_breaks_a_rule_is_told_which(
    world: World, what: dict[str, Any], reason: str
) -> None:
    """Then the connection is closed, and nothing of its calls goes on."""
    hear(world, **what)
    assert reason in refusal(world)
    for _ in range(3):
        world.loop.step()
    assert not world.server._running.live
    assert not world.server._inbox
    assert world.host.begun == world.host.ended


def test_a_broken_rule_ends_the_calls_under_way(world: World) -> None:
    """Nobody waits for them; they are told, before the connection is gone."""
    hear(world, calls=[call(1), call(2)])
    heard(world)
    assert len(world.server._running.live) == 2
    hear(world, control=[(127, 1, "")])
    world.loop.step()
    world.loop.step()
    assert sorted(world.desk.cancelled) == [b"1", b"2"]
    assert world.host.begun == world.host.ended == 2


def test_control_that_is_optional_is_passed_over(world: World) -> None:
    """A later version may say more."""
    hear(world, control=[(128, 1, "")])
    assert not world.down.is_closed


def test_a_ping_is_answered_with_its_number(world: World) -> None:
    """So that the client knows which."""
    hear(world, control=[(Kind.PING, 7, "")])
    assert heard(world)[2] == [(Kind.PONG, 7, "")]


def test_pings_of_a_client_that_does_not_read_are_bounded(world: World) -> None:
    """What waits for it does not grow without end."""
    for n in range(1_000):
        if not world.down.is_closed:
            hear(world, control=[(Kind.PING, n, "")])
    assert "does not listen" in refusal(world)


def test_answers_for_a_client_that_does_not_read_are_bounded(world: World) -> None:
    """Also empty ones: calls wait then, and too many of them close the lane."""
    with mock.patch.object(module, "MAX_UNSENT", 10_000):
        for n in range(1, 100_000, 8):
            hear(world, calls=[call(n + k, 3) for k in range(8)])
            world.loop.step()
            if world.down.is_closed:
                break
            assert len(world.server._outbox._endings) < 500
    assert "more than 8 calls" in refusal(world)


def test_calls_wait_while_much_is_unsent_and_begin_again_when_it_is_not(world: World) -> None:
    """The client is told by credit, both times."""
    with mock.patch.object(module, "MAX_UNSENT", 200_000):
        hear(world, calls=[call(1), call(2)])
        heard(world)
        world.desk.tell(b"1", bytes(300_000))
        world.desk.tell(b"2", bytes(300_000))
        world.loop.step()
        world.loop.step()
        hear(world, calls=[call(3, 2)])
        world.loop.step()
        assert b"3" not in world.desk.ran
        replies, _, control = heard(world)
        assert control == [(Kind.CREDIT, 0, ""), (Kind.CREDIT, 8, "")]
        assert sorted(number for number, _ in replies) == [1, 2, 3]


def test_a_call_that_is_cancelled_before_it_begins_never_runs(world: World) -> None:
    """And is answered all the same, so that both ends count alike."""
    hear(world, calls=[call(1, 2)], control=[(Kind.CANCEL, 1, "")])
    _, endings, _ = heard(world)
    assert [frame[:2] for frame in endings] == [(1, CODE.CANCELLED.value[0])]
    assert not world.desk.ran


def test_cancelling_what_has_ended_is_no_fault(world: World) -> None:
    """The answer was on its way."""
    hear(world, calls=[call(1, 2)])
    heard(world)
    hear(world, control=[(Kind.CANCEL, 1, ""), (Kind.CANCEL, 99, "")])
    assert not world.down.is_closed


def test_a_cancelled_call_ends_once(world: World) -> None:
    """Also when it is asked for more than once, and the handler takes its time."""
    hear(world, calls=[call(1)])
    heard(world)
    hear(world, control=[(Kind.CANCEL, 1, ""), (Kind.CANCEL, 1, "")])
    _, endings, _ = heard(world)
    assert [frame[0] for frame in endings] == [1]
    assert world.host.ended == 1


def test_a_deadline_ends_a_call(world: World) -> None:
    """One that runs is cancelled; one that comes too late is not begun."""
    hear(world, calls=[call(1, due_us=1_000_000)])
    heard(world)
    hear(world, calls=[call(2, due_us=1)])
    world.clock.now += 0.5
    _, endings, _ = heard(world)
    assert [frame[:2] for frame in endings] == [(2, CODE.DEADLINE_EXCEEDED.value[0])]
    assert b"2" not in world.desk.ran
    world.pass_time(0.6)
    _, endings, _ = heard(world)
    assert [frame[:2] for frame in endings] == [(1, CODE.DEADLINE_EXCEEDED.value[0])]
    assert world.desk.cancelled == [b"1"]


def test_calls_beyond_the_hosts_limit_are_refused() -> None:
    """As in gRPC, at once."""
    with World(most=1) as world:
        calls = [world.call(HOLD, str(n).encode()) for n in range(3)]
        world.settle()
        assert [each.is_done for each in calls] == [False, True, True]
        assert calls[1]._code is CODE.RESOURCE_EXHAUSTED


def test_going_away_accepts_no_more_and_ends_what_was_accepted(world: World) -> None:
    """The client is told up to which call."""
    hear(world, calls=[call(1), call(2)])
    heard(world)
    world.within(world.server.go_away, "stopping")
    assert heard(world)[2] == [(Kind.GO_AWAY, 2, "stopping")]
    hear(world, calls=[call(3, 2)])
    heard(world)
    assert b"3" not in world.desk.ran
    assert not world.down.is_closed
    world.desk.tell(b"1", b"")
    world.desk.tell(b"2", b"")
    assert [number for number, _ in heard(world)[0]] == [1, 2]
    world.loop.step()
    assert world.down.is_closed


def test_a_lane_that_is_idle_goes_away_at_once(world: World) -> None:
    """There is nothing to wait for."""
    world.within(world.server.go_away, "stopping")
    world.within(world.server.go_away, "stopping")
    assert heard(world)[2] == [(Kind.GO_AWAY, 0, "stopping")]
    world.loop.step()
    assert world.down.is_closed


def test_a_lane_that_is_lost_ends_its_calls_and_leaves_the_host(world: World) -> None:
    """Once, whatever says so."""
    hear(world, calls=[call(n) for n in range(1, 5)])
    heard(world)
    world.cut()
    world.within(world.server.detached, world.down, LaneError("again"))
    world.settle()
    assert world.host.gone == [world.server]
    assert world.host.begun == world.host.ended == 4
    assert world.server._outbox.unsent == 0


def test_a_block_is_known_until_it_is_dropped(world: World) -> None:
    """Calls of the same batch may still name it."""
    block = (1, [("user", b"a")])
    hear(world, blocks=[block], calls=[call(1, 2, block=1)], control=[(Kind.DROP, 1, "")])
    heard(world)
    assert world.desk.contexts[b"1"].invocation_metadata() == (("user", "a"),)
    assert world.server._block_bytes == 0
    hear(world, calls=[call(2, 2, block=1)])
    assert "was not said" in refusal(world)


def test_blocks_are_bounded_over_the_life_of_a_lane(world: World) -> None:
    """Not in a batch alone."""
    block = [("k", b"v" * (MAX_BLOCK_BYTES // 5))]
    for n in range(1, 6):
        hear(world, blocks=[(n, block)])
    assert "more metadata" in refusal(world)


def test_own_metadata_comes_after_what_is_shared(world: World) -> None:
    """All pairs are there in order; by key the last one counts."""
    own = [("user", b"b"), ("x-bin", b"\xff")]
    hear(world, blocks=[(1, [("user", b"a")])], calls=[call(1, 2, block=1, own=own)])
    heard(world)
    context = world.desk.contexts[b"1"]
    assert context.invocation_metadata() == (("user", "a"), ("user", "b"), ("x-bin", b"\xff"))
    assert context.metadata == {"user": "b", "x-bin": b"\xff"}


def serve(world: World, handler: Any, **more: Any) -> tuple[int, str]:
    """Let a handler serve one call; answers how that ended."""
    world.host.methods["/t.T/Odd"] = Method(handler, more.get("deserialize"), more.get("serialize"))
    hear(world, [(9, "/t.T/Odd")], calls=[call(1, 9)])
    replies, endings, _ = heard(world)
    assert len(replies) + len(endings) == 1
    assert world.host.begun == world.host.ended == 1
    return endings[0][1:3] if endings else (0, "")


async def _large(_request: Any, _context: Any) -> bytes:
    return bytes(MAX_REPLY + 1)


async def _no_bytes(_request: Any, _context: Any) -> Any:
    return 7


async def _no_text(_request: Any, _context: Any) -> Any:
    raise OSError("cannot open caf\udce9")


async def _aborts_without_text(_request: Any, context: Any) -> Any:
    await context.abort(CODE.NOT_FOUND, "\ud800")


async def _much_metadata(_request: Any, context: Any) -> bytes:
    context.set_trailing_metadata((("k", "v" * (MAX_METADATA + 1)),))
    return b""


async def _many_details(_request: Any, context: Any) -> bytes:
    context.set_code(CODE.NOT_FOUND)
    context.set_details("d" * (1 << 21))
    return b""


async def _number_as_code(_request: Any, context: Any) -> bytes:
    context.set_code(5)
    return b""


def _cannot_read(_raw: bytes) -> Any:
    raise ValueError("cannot read")


@pytest.mark.parametrize(
    ("handler", "more", "code"),
    [
        (_large, {}, CODE.RESOURCE_EXHAUSTED),
        (_no_bytes, {}, CODE.UNKNOWN),
        (_no_text, {}, CODE.UNKNOWN),
        (_aborts_without_text, {}, CODE.NOT_FOUND),
        (_much_metadata, {}, CODE.RESOURCE_EXHAUSTED),
        (_many_details, {}, CODE.NOT_FOUND),
        (_number_as_code, {}, CODE.NOT_FOUND),
        (_no_bytes, {"deserialize": _cannot_read}, CODE.UNKNOWN),
        (_no_bytes, {"serialize": _cannot_read}, CODE.UNKNOWN),
    ],
)
def test_a_call_ends_whatever_its_handler_does(
    world: World, handler: Any, more: dict[str, Any], code: grpc.StatusCode
) -> None:
    """It alone is the worse for it: the lane goes on."""
    assert serve(world, handler, **more)[0] == code.value[0]
    hear(world, calls=[call(2, 2)])
    assert heard(world)[0] == [(2, b"2")]


def test_a_callback_that_raises_harms_no_call(world: World) -> None:
    """It is the handler's own, and runs after the answer."""

    async def serves(request: bytes, context: Any) -> bytes:
        context.add_done_callback(lambda _: 1 / 0)
        return request

    assert serve(world, serves) == (0, "")
    world.loop.problems.clear()
    hear(world, calls=[call(2, 2)])
    assert heard(world)[0] == [(2, b"2")]
