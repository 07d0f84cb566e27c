"""Carriers over gRPC streams: what they do with batches, and with ends of all kinds."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from mesh.lane import stream as module
from mesh.lane.call import UnaryCall
from mesh.lane.client import ClientLane
from mesh.lane.frames import MAX_BATCH
from mesh.lane.keeper import State
from mesh.lane.stream import StreamCarrier, StreamListener, carry
from tests.unit.mesh.lane.fuzzing import CREDIT, SERVER_HELLO
from tests.unit.mesh.lane.sessions import Session
from tests.unit.mesh.lane.world import ECHO, FakeKeeper


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

    async def serve() -> list[bytes]:
        return [batch async for batch in listener._serve(requests(), context)]

    assert await asyncio.create_task(serve()) == []
    await asyncio.sleep(0)
    assert session.fed == [b"hello"]
    assert session.ends == ["the stream was closed"]


async def test_a_servers_lane_ends_with_the_task_that_serves_it() -> None:
    """gRPC may be cancelled between two batches, and never come back for the next one."""
    session: Any = Session()
    requests = asyncio.Queue[bytes]()

    async def unending() -> AsyncIterator[bytes]:
        yield await requests.get()

    listener = StreamListener(lambda *_: session)
    context = SimpleNamespace(peer=lambda: "peer", auth_context=dict)
    kept: Any = listener._serve(unending(), context)  # as somebody may keep it

    async def serve() -> None:
        assert await anext(kept) == b"first"
        sends.set()
        await asyncio.Event().wait()

    session.batches.append(b"first")
    sends = asyncio.Event()
    serving = asyncio.create_task(serve())
    await sends.wait()
    serving.cancel()
    await asyncio.wait([serving])
    await asyncio.sleep(0)
    assert session.ends == ["the stream was closed"]
    await kept.aclose()


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
