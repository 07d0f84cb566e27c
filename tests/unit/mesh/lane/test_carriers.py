"""Carriers: what they do with batches, with writes that pause, and with ends of all kinds."""

from __future__ import annotations

import asyncio
import gc
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from mesh.lane import stream as module
from mesh.lane.call import UnaryCall
from mesh.lane.carrier import Carrier
from mesh.lane.client import ClientLane
from mesh.lane.frames import MAX_BATCH, Buffer, LaneError
from mesh.lane.keeper import State
from mesh.lane.socket import LENGTH, SocketCarrier
from mesh.lane.stream import StreamCarrier, StreamListener, carry
from tests.unit.mesh.lane.fuzzing import CREDIT, SERVER_HELLO
from tests.unit.mesh.lane.world import ECHO, FakeKeeper, World

mark: ContextVar[str] = ContextVar("mark", default="")


class Session:
    """Either end of a lane, as a carrier sees it; says what the test gives it."""

    def __init__(self) -> None:
        self.batches: deque[bytes] = deque()
        self.fed: list[bytes] = []
        self.signs = 0
        self.problems: list[str] = []
        self.ends: list[str] = []
        self.marks: set[str] = set()
        self.refuses = b""
        self.looks = 0
        self.carrier: Any = None

    @property
    def max_batch(self) -> int:
        self.looks += 1
        return MAX_BATCH

    @property
    def pending(self) -> bool:
        return bool(self.batches)

    def take(self) -> bytes:
        self.marks.add(mark.get())
        return self.batches.popleft()

    def heard(self) -> None:
        self.signs += 1

    def feed(self, data: Buffer) -> None:
        if self.refuses and bytes(data) == self.refuses:
            raise LaneError("refused")
        self.fed.append(bytes(data))

    def attach(self, carrier: Carrier) -> None:
        self.carrier = carrier

    def fail(self, error: LaneError) -> None:
        self.problems.append(str(error))
        self.carrier.close()

    def detached(self, carrier: Carrier, error: LaneError) -> None:
        self.ends.append(str(error))


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


# Sockets.


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


# Streams.


class Call:
    """A stream of a gRPC channel: what comes is said by the test, what is written may fail."""

    def __init__(self, write_error: Exception | None = None) -> None:
        self.incoming: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        self.written: list[bytes] = []
        self.write_error = write_error
        self.is_cancelled = self.is_half_closed = False

    def __call__(self, **_: Any) -> Call:
        return self

    async def write(self, data: bytes) -> None:
        if data and self.write_error is not None:
            raise self.write_error
        self.written.append(data)

    async def done_writing(self) -> None:
        self.is_half_closed = True

    def cancel(self) -> None:
        self.is_cancelled = True

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (said := await self.incoming.get()) is not None:
            if isinstance(said, Exception):
                raise said
            yield said


class Channel:
    """A gRPC channel with one stream."""

    def __init__(self, call: Call) -> None:
        self.call = call

    def stream_stream(self, _method: str) -> Any:
        return self.call


def rpc_error(code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "why")


async def opened(call: Call) -> tuple[ClientLane, FakeKeeper, asyncio.Task[None]]:
    """A lane that is open over a stream."""
    keeper = FakeKeeper()
    lane = ClientLane(keeper)
    channel: Any = Channel(call)
    task = carry(lane, channel)
    for batch in (SERVER_HELLO, CREDIT):
        call.incoming.put_nowait(batch)
    await lane.opened
    return lane, keeper, task


@pytest.fixture
async def unseen() -> AsyncIterator[list[Any]]:
    """Errors that nobody asked for, as the loop learns of them."""
    found: list[Any] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: found.append(context))
    yield found
    loop.set_exception_handler(None)


def echo() -> UnaryCall:
    return UnaryCall(ECHO, b"x", None, float("inf"))


@pytest.mark.parametrize(
    "error",
    [rpc_error(grpc.StatusCode.UNAVAILABLE), asyncio.InvalidStateError("done"), OSError("broken")],
)
async def test_a_writer_that_fails_ends_every_call(
    error: Exception, monkeypatch: pytest.MonkeyPatch, unseen: list[Any]
) -> None:
    """None waits for an answer that cannot come, and no error is left for nobody."""
    monkeypatch.setattr(module, "CLOSE_S", 0.01)
    call = Call()
    lane, keeper, task = await opened(call)
    call.write_error = error
    lane.submit(lost := echo())
    await asyncio.wait([task])
    ((given_back, sent, reason),) = keeper.given_back
    assert (given_back, sent) == (lost, True)
    assert ("broken" in reason) == isinstance(error, OSError)
    assert lane.state is State.CLOSED
    assert call.is_cancelled
    gc.collect()
    assert not unseen


@pytest.mark.parametrize("error", [grpc.aio.UsageError("the server stopped"), OSError("broken")])
async def test_a_servers_lane_ends_with_its_stream(error: Exception) -> None:
    """Also when what reads it fails: the server must not count it for ever."""
    session: Any = Session()

    async def requests() -> AsyncIterator[bytes]:
        yield b"hello"
        raise error

    listener = StreamListener(lambda *_: session)
    context = SimpleNamespace(peer=lambda: "peer", auth_context=dict)
    assert [batch async for batch in listener._serve(requests(), context)] == []
    assert session.fed == [b"hello"]
    assert session.ends == ["the stream was closed"]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (None, "the stream was closed"),
        (rpc_error(grpc.StatusCode.UNAVAILABLE), "the stream ended with UNAVAILABLE: why"),
        (OSError("broken"), "broken"),
        (b"\x90", "cannot be read"),
        (bytes(MAX_BATCH + 1), "too long"),
    ],
)
async def test_a_stream_that_ends_ends_every_call(
    said: Any, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever ended it; the reason is passed on."""
    monkeypatch.setattr(module, "CLOSE_S", 0.01)
    call = Call()
    lane, keeper, task = await opened(call)
    lane.submit(lost := echo())
    for _ in range(5):
        await asyncio.sleep(0)
    call.incoming.put_nowait(said)
    await asyncio.wait([task])
    ((given_back, sent, told),) = keeper.given_back
    assert (given_back, sent) == (lost, True)
    assert reason in told


async def test_closing_a_stream_ends_it_in_order() -> None:
    """What was to be said is said, then the sending side closes, and the server ends it."""
    call = Call()
    lane, keeper, task = await opened(call)
    lane.close()
    while not call.is_half_closed:  # noqa: ASYNC110 - a fake has no events
        await asyncio.sleep(0)
    call.incoming.put_nowait(None)
    await task
    assert lane.closed.done()
    assert not keeper.given_back


async def test_a_stream_that_the_server_does_not_end_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is given a while, and no more."""
    monkeypatch.setattr(module, "CLOSE_S", 0.01)
    call = Call()
    lane, _, task = await opened(call)
    lane.close()
    await asyncio.wait([task])
    assert call.is_cancelled
    assert lane.closed.done()


async def test_an_aborted_stream_sends_nothing_more() -> None:
    """What waits is nobody's."""
    session: Any = Session()
    session.batches.append(b"1")
    carrier = StreamCarrier(session)
    carrier.abort()
    assert [batch async for batch in carrier.batches()] == []


async def test_a_batch_passes_as_one_message_of_grpc() -> None:
    """It is far below what gRPC takes by default."""
    assert MAX_BATCH < 4 << 20
