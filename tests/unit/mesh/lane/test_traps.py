"""Traps that lanes have fallen into once, or that others have: each by its name."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextvars import Context, ContextVar
from typing import Any
from unittest import mock

import grpc
import pytest

from mesh import peer as peers
from mesh.lane import hello as opening
from mesh.lane.blocks import KEEP_S, Shared
from mesh.lane.call import UnaryCall
from mesh.lane.dial import Endpoint
from mesh.lane.frames import (
    FRAGMENT,
    FULL_FRAMES,
    MAX_BATCH,
    MAX_METADATA,
    MAX_REQUEST,
    MAX_TEXT,
    LaneError,
    NotServedError,
    client_batch,
    encode,
    server_batch,
)
from mesh.lane.outbox import Outbox
from mesh.lane.vigil import TICK_S
from mesh.peer import Dialling, Peer
from tests.unit.mesh.lane.world import ECHO, HOLD, World

mark: ContextVar[str] = ContextVar("mark", default="")


@pytest.fixture
def world() -> Iterator[World]:
    """A lane that is open."""
    with World() as world:
        world.settle()
        yield world


def test_connection_lost_fails_every_call(world: World) -> None:
    """Those under way at the server end as well."""
    calls = [world.call(HOLD, str(n).encode()) for n in range(20)]
    world.settle()
    world.cut()
    world.settle()
    given_back = [call for call, *_ in world.keeper.given_back]
    assert sorted(given_back, key=id) == sorted(calls, key=id)
    assert not world.desk.held
    assert world.host.begun == world.host.ended == 8


@pytest.mark.parametrize("how", ["cancel", "lost"])
def test_a_task_cancelled_before_its_first_step_never_runs_but_its_call_ends(
    world: World, how: str
) -> None:
    """It must be counted out by who cancels it: the task itself cannot."""
    call = world.call(HOLD, b"x")
    world.write(world.up)
    world.deliver(world.up)
    world.within(world.server.start, 1)  # makes the task, which has its first step next turn
    assert len(world.server._running.live) == 1
    if how == "cancel":
        world.within(call.cancel)
        world.write(world.up)
        world.deliver(world.up)
    else:
        world.within(world.server.detached, world.down, LaneError("gone"))
    assert len(world.server._running.live) == 0
    assert world.host.begun == world.host.ended == 1
    world.settle()
    assert not world.desk.ran
    if how == "cancel":
        assert not world.client._in_flight


def test_timers_do_not_inherit_a_calls_contextvars() -> None:
    """Else what the first call carried lives as long as the lane."""
    marked = Context()
    marked.run(mark.set, "of a call")
    with World() as world:
        marked.run(world.call, HOLD, b"x", 5.0)
        marked.run(world.settle)
        for handle in world.loop._scheduled:  # type: ignore[attr-defined]
            assert mark not in handle._context
        world.pass_time(TICK_S)
        for handle in world.loop._scheduled:  # type: ignore[attr-defined]
            assert mark not in handle._context


def test_handlers_do_not_inherit_what_the_loop_was_at(world: World) -> None:
    """A call begins with nothing of those before it."""
    seen: list[str] = []

    async def look(request: bytes, _context: Any) -> bytes:
        seen.append(mark.get())
        mark.set(request.decode())
        return b""

    world.host.methods[ECHO] = world.host.methods[ECHO]._replace(serve=look)  # type: ignore[union-attr]
    marked = Context()
    marked.run(mark.set, "of a caller")
    for n in range(5):
        marked.run(world.call, ECHO, str(n).encode())
    marked.run(world.settle)
    assert seen == [""] * 5


async def test_reconnects_do_not_inherit_a_calls_contextvars(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A lane is dialled for all calls, not for the one that was first."""
    seen: list[str] = []

    async def dial(*_: Any) -> None:
        seen.append(mark.get())
        raise LaneError("no")

    monkeypatch.setattr(peers, "dial", dial)
    calls = mock.Mock()
    peer = Peer(Endpoint("unix:/nowhere"), Dialling(), calls)
    mark.set("of a call")
    peer.lane("/t.T/Do")
    for task in list(peer._tasks):
        await task
    assert seen == [""]
    await peer.close(None)


def test_a_batch_of_requests_is_bounded(world: World) -> None:
    """The largest that a client makes is far below what a server takes."""
    shared = [Shared([("k", "v" * (MAX_METADATA - 100))]) for _ in range(FULL_FRAMES)]
    for n in range(FULL_FRAMES):
        own = [("x", "y" * (MAX_METADATA - 100))]
        world.call(f"/{n}{'m' * 500}", bytes(MAX_REQUEST), shared=shared[n], own=own)
    while world.write(world.up):
        assert len(world.up.sent[-1]) < MAX_BATCH // 2


def test_a_batch_of_replies_is_bounded() -> None:
    """The largest that a server makes is far below what a client takes."""
    outbox = Outbox()
    pairs = [("k", b"v" * (MAX_METADATA - 100))]
    for number in range(4 * FULL_FRAMES):
        outbox.reply(number, bytes(FRAGMENT))
        outbox.end((number, 5, "\N{SNOWMAN}" * MAX_TEXT, pairs, [], bytes(FRAGMENT)))
        outbox.reply(number, bytes(10 * FRAGMENT))
    while outbox:
        assert len(encode(outbox.take())) < MAX_BATCH // 2


def test_a_token_is_never_interned_beyond_its_expiry(world: World) -> None:
    """A call that still carries it says it for itself alone."""
    with mock.patch.object(time, "time", return_value=1_000.0) as now:
        shared = Shared([("authorization", "token")])
        assert shared.until == 1_000 + KEEP_S
        world.call(ECHO, b"1", shared=shared)
        world.settle()
        assert len(world.server._blocks) == 2
        now.return_value = shared.until
        world.call(ECHO, b"2", shared=shared)
        world.write(world.up)
        _, blocks, calls, _ = client_batch(world.up.sent[-1])
        assert not blocks
        assert calls[0][3] == 0
        assert calls[0][5] == shared.packed
        world.settle()
        assert world.desk.contexts[b"2"].invocation_metadata() == (("authorization", "token"),)
        world.pass_time(TICK_S)
        world.settle()
        assert len(world.server._blocks) == 1


def test_what_is_no_utf_8_is_no_batch() -> None:
    """msgspec says so by another error than of everything else."""
    for read in (client_batch, server_batch):
        with pytest.raises(LaneError):
            read(b"\x94\x91\x92\x01\xab\0\0\0\0\0\0\0\0\0\0\x80\x90\x90\x90")
    kinds: list[Any] = [opening.ServerHello, opening.ClientHello]
    for kind in kinds:
        with pytest.raises(NotServedError):
            opening.read(kind, b"\x91\xab\0\0\0\0\0\0\0\0\0\0\x80")


def test_a_call_given_from_lane_to_lane_is_not_taken_for_another(world: World) -> None:
    """Its number on the first lane may be a stranger's on the second."""
    moved = UnaryCall(HOLD, b"moved", None, float("inf"))
    moved.id = 1
    other = world.call(HOLD, b"other")
    world.settle()
    for n in range(7):
        world.call(HOLD, str(n).encode())
    world.settle()
    world.within(world.client.submit, moved)
    world.within(moved.cancel)
    world.settle()
    assert not other.is_done
    assert b"other" in world.desk.held
    assert moved._code is grpc.StatusCode.CANCELLED
