"""Carriers over sockets: what they do with batches, with writes that pause, and with ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mesh.lane.frames import MAX_BATCH, LaneError
from mesh.lane.socket import LENGTH, SocketCarrier
from tests.unit.mesh.lane.sessions import Session, mark
from tests.unit.mesh.lane.world import World


class Transport:
    """The sending side of a socket: pauses after so many writes."""

    def __init__(self, most: int = 1 << 30) -> None:
        self.written: list[bytes] = []
        self.most = most
        self.did: list[str] = []
        self.protocol: Any = None

    def write(self, data: bytes) -> None:
        self.written.append(data)
        if len(self.written) == self.most:
            self.protocol.pause_writing()

    def close(self) -> None:
        self.did.append("close")

    def abort(self) -> None:
        self.did.append("abort")


@pytest.fixture
def world() -> Iterator[World]:
    """A loop and a clock that are moved by hand."""
    with World() as world:
        yield world


def connected(world: World, session: Any, transport: Transport) -> SocketCarrier:
    carrier = world.within(SocketCarrier, lambda _: session)
    transport.protocol = carrier
    world.within(carrier.connection_made, transport)  # type: ignore[arg-type]
    return carrier


def framed(*batches: bytes) -> bytes:
    return b"".join(len(batch).to_bytes(LENGTH, "little") + batch for batch in batches)


def test_a_part_of_a_batch_is_a_sign_of_life(world: World) -> None:
    """A large reply over a slow connection is no silence."""
    session = Session()
    carrier = connected(world, session, Transport())
    for byte in framed(b"abc")[:-1]:
        world.within(carrier.data_received, bytes([byte]))
    assert not session.fed
    assert session.signs == len(framed(b"abc")) - 1


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1_000])
def test_batches_are_the_same_however_bytes_come(world: World, size: int) -> None:
    """One by one, or all at once."""
    session = Session()
    carrier = connected(world, session, Transport())
    batches = [b"", b"a", b"bc" * 10, b"d" * 300]
    data = framed(*batches)
    for at in range(0, len(data), size):
        world.within(carrier.data_received, data[at : at + size])
    assert session.fed == batches
    assert not carrier._rest


def test_a_batch_in_tiny_parts_is_copied_once(world: World) -> None:
    """What a peer makes us do grows as the bytes that it sends, not as their square."""
    session = Session()
    carrier = connected(world, session, Transport())
    data = framed(bytes(MAX_BATCH), b"small")
    kept: Any = None
    copied = 0
    for at in range(0, len(data), 37):
        world.within(carrier.data_received, data[at : at + 37])
        if carrier._rest is not kept:
            kept = carrier._rest
            copied += len(kept)
    assert [len(batch) for batch in session.fed] == [MAX_BATCH, len(b"small")]
    assert copied < 200
    assert session.looks <= 5


def test_what_comes_after_closing_is_not_kept(world: World) -> None:
    """A peer that goes on sending fills nothing."""
    carrier = connected(world, Session(), Transport())
    world.within(carrier.data_received, b"\xff")
    world.within(carrier.close)
    for _ in range(5):
        world.within(carrier.data_received, bytes(1_000))
    assert not carrier._rest


def test_what_was_woken_for_goes_out_with_the_next_turn(world: World) -> None:
    """All that came until then."""
    session, transport = Session(), Transport()
    carrier = connected(world, session, transport)
    for n in range(3):
        session.batches.append(bytes([n]))
        world.within(carrier.wake)
    assert not transport.written
    world.loop.step()
    assert transport.written == [framed(bytes([n])) for n in range(3)]


def test_a_full_socket_makes_everything_wait(world: World) -> None:
    """Until it has room again; what is in between stays with the session."""
    session, transport = Session(), Transport(most=2)
    carrier = connected(world, session, transport)
    session.batches.extend([b"1", b"2", b"3", b"4"])
    world.within(carrier.wake)
    world.loop.step()
    assert len(transport.written) == 2
    world.within(carrier.wake)
    world.loop.step()
    assert len(transport.written) == 2
    world.within(carrier.resume_writing)
    assert len(transport.written) == 4


def test_closing_sends_what_is_there_first(world: World) -> None:
    """A farewell comes through, also past a full socket."""
    session, transport = Session(), Transport(most=1)
    carrier = connected(world, session, transport)
    session.batches.append(b"1")
    world.within(carrier.wake)
    world.loop.step()
    session.batches.append(b"farewell")
    world.within(carrier.close)
    assert transport.written[-1] == framed(b"farewell")
    assert transport.did == ["close"]


def test_closing_ends_though_nobody_reads(world: World) -> None:
    """After a while the connection is broken off; not when it has ended by itself."""
    for ends_itself in (False, True):
        session, transport = Session(), Transport()
        carrier = connected(world, session, transport)
        world.within(carrier.close)
        if ends_itself:
            world.within(carrier.connection_lost, None)
        world.pass_time(60)
        assert transport.did == (["close"] if ends_itself else ["close", "abort"])


def test_nothing_is_sent_once_it_is_aborted(world: World) -> None:
    """Also what was woken for before."""
    session, transport = Session(), Transport()
    carrier = connected(world, session, transport)
    session.batches.append(b"1")
    world.within(carrier.wake)
    world.within(carrier.abort)
    world.loop.step()
    assert not transport.written
    assert transport.did == ["abort"]


def test_after_a_broken_rule_no_batch_is_read(world: World) -> None:
    """What stands behind it in the same bytes is nobody's."""
    session, transport = Session(), Transport()
    session.refuses = b"bad"
    carrier = connected(world, session, transport)
    world.within(carrier.data_received, framed(b"good", b"bad", b"good"))
    assert session.fed == [b"good"]
    assert session.problems == ["refused"]
    world.within(carrier.connection_lost, None)
    assert session.ends == ["refused"]


def test_a_session_is_told_why_the_connection_was_lost(world: World) -> None:
    """As far as the system knows."""
    session = Session()
    carrier = connected(world, session, Transport())
    world.within(carrier.connection_lost, ConnectionResetError("reset by peer"))
    assert session.ends == ["the connection was lost: reset by peer"]


def test_a_peer_that_is_refused_is_told_nothing(world: World) -> None:
    """Who connected learns the reason on this side."""

    def refuse(_: Any) -> Any:
        raise LaneError("not you")

    transport = Transport()
    carrier = world.within(SocketCarrier, refuse)
    world.within(carrier.connection_made, transport)  # type: ignore[arg-type]
    with pytest.raises(LaneError, match="not you"):
        carrier.check()
    assert transport.did == ["abort"]
    assert not transport.written
    world.within(carrier.connection_lost, None)


def test_sending_does_not_inherit_what_a_call_carried(world: World) -> None:
    """A write is for all calls."""
    session = Session()
    carrier = connected(world, session, Transport())
    session.batches.append(b"1")
    token = mark.set("of a call")
    world.within(carrier.wake)
    mark.reset(token)
    world.loop.step()
    assert session.marks == {""}
