"""Calls over plain gRPC whose server is lost: what their callers are told, and who is not."""

from __future__ import annotations

import asyncio
import gc
import inspect
import socket
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc
import pytest

from mesh.plain import PlainChannel
from mesh.plain_call import PlainCall

KINDS: Final = {
    "unary_unary": grpc.aio.UnaryUnaryCall,
    "unary_stream": grpc.aio.UnaryStreamCall,
    "stream_unary": grpc.aio.StreamUnaryCall,
    "stream_stream": grpc.aio.StreamStreamCall,
}
LOST: Final = "The connection was lost: gone"


class Held(grpc.GenericRpcHandler):
    """Serves methods that are named after their kind; each call lasts until it is cancelled."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[str] = asyncio.Queue()
        self.ended: asyncio.Queue[str] = asyncio.Queue()

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        kind = details.method.rpartition("/")[2]
        handler = self._replies if kind.endswith("stream") else self._reply
        return getattr(grpc, f"{kind}_rpc_method_handler")(handler)

    async def _reply(self, _request: Any, _context: Any) -> bytes:
        await self._hold()
        return b""

    async def _replies(self, _request: Any, _context: Any) -> AsyncIterator[bytes]:
        yield b"first"
        await self._hold()

    async def _hold(self) -> None:
        self.begun.put_nowait("")
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.put_nowait("")


@pytest.fixture
async def held() -> Held:
    return Held()


@pytest.fixture
async def plain(held: Held) -> AsyncIterator[PlainChannel]:
    """To a server that holds all calls."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((held,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channel = PlainChannel(f"127.0.0.1:{port}", (), None)
    yield channel
    await channel.close(None)
    await server.stop(None)


def begin(plain: PlainChannel, kind: str) -> Any:
    given = (b"",) if kind.startswith("unary") else ()
    return plain.bound(kind, f"/t.T/{kind}", (None, None))(*given, timeout=60)


async def begun(plain: PlainChannel, held: Held, kind: str) -> Any:
    """A call that the server holds."""
    call = begin(plain, kind)
    await held.begun.get()
    return call


def waits(call: Any, kind: str) -> Any:
    """Wait for what the server of a call says next."""
    return call.read() if kind.endswith("stream") else call


async def is_lost(reply: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await reply
    error = caught.value
    assert (error.code(), error.details()) == (grpc.StatusCode.UNAVAILABLE, LOST)
    assert error.initial_metadata() == error.trailing_metadata() == grpc.aio.Metadata()
    assert LOST in str(error.debug_error_string())


@pytest.mark.parametrize("kind", KINDS)
async def test_a_lost_call_says_so_to_whoever_asks(
    plain: PlainChannel, held: Held, kind: str
) -> None:
    """Who waits for it, who asks later, and who wanted to be told; and the server is told too."""
    call = await begun(plain, held, kind)
    told: asyncio.Queue[Any] = asyncio.Queue()
    call.add_done_callback(told.put_nowait)
    if kind.endswith("stream"):
        assert await call.read() == b"first"
    asked = [asyncio.ensure_future(each) for each in (is_lost(waits(call, kind)), call.code())]
    await asyncio.sleep(0)
    plain.lost("gone")
    assert await asyncio.gather(*asked) == [None, grpc.StatusCode.UNAVAILABLE]
    assert await told.get() is call
    assert (call.done(), call.cancelled(), call.cancel()) == (True, False, False)
    assert (await call.code(), await call.details()) == (grpc.StatusCode.UNAVAILABLE, LOST)
    assert await call.initial_metadata() is not None
    assert await call.trailing_metadata() == grpc.aio.Metadata()
    assert LOST in await call.debug_error_string()
    assert LOST in repr(call)
    await is_lost(waits(call, kind))
    await is_lost(call.wait_for_connection())
    await held.ended.get()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_call_is_what_grpcio_calls_one(plain: PlainChannel, kind: str) -> None:
    """Code that looks at its type finds grpcio's own, and no other kind."""
    call = begin(plain, kind)
    assert isinstance(call, grpc.aio.Call)
    assert [each for each, kind_ in KINDS.items() if isinstance(call, kind_)] == [kind]
    assert inspect.isawaitable(call) == kind.endswith("unary")
    assert hasattr(call, "write") == kind.startswith("stream")
    assert hasattr(call, "__aiter__") == hasattr(call, "read") == kind.endswith("stream")


async def test_who_iterates_is_told_and_so_is_who_iterates_again(
    plain: PlainChannel, held: Held
) -> None:
    """What came before the loss was heard."""
    call = await begun(plain, held, "unary_stream")
    heard = []

    async def iterate() -> None:
        async for reply in call:
            heard.append(reply)
            asyncio.get_running_loop().call_soon(plain.lost, "gone")

    await is_lost(iterate())
    await is_lost(iterate())
    assert heard == [b"first"]


async def test_writing_to_a_lost_call_fails(plain: PlainChannel, held: Held) -> None:
    """That no request follows may always be said."""
    call = await begun(plain, held, "stream_unary")
    plain.lost("gone")
    await is_lost(call.write(b""))
    await call.done_writing()


@pytest.mark.parametrize("method", ["wait_for_connection", "read"])
@pytest.mark.parametrize("is_begun", [True, False])
async def test_a_call_that_waits_for_a_connection_is_lost_as_well(
    method: str, is_begun: bool
) -> None:
    """Also its writer: gRPC never wakes who waits for a call that is cancelled meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as mute:  # connected to, and no word is said
        options = (("grpc.min_reconnect_backoff_ms", 60_000),)
        plain = PlainChannel(f"127.0.0.1:{mute.getsockname()[1]}", options, None)
        call: Any = plain.bound("stream_stream", "/t.T/t", (None, None))(wait_for_ready=True)
        steps = [call.write(b""), getattr(call, method)()]
        lost = [asyncio.ensure_future(is_lost(step)) for step in steps]
        await asyncio.sleep(0)
        if is_begun:
            while plain.channel.get_state() is not grpc.ChannelConnectivity.CONNECTING:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        plain.lost("gone")
        await asyncio.gather(*lost)
        await plain.close(None)


@pytest.mark.parametrize("kind", KINDS)
async def test_who_is_cancelled_is_cancelled(plain: PlainChannel, held: Held, kind: str) -> None:
    """Whether his call is lost at that moment or not: a task that was given up must end."""
    for is_lost_ in (False, True):
        call = await begun(plain, held, kind)
        if kind.endswith("stream"):
            await call.read()
        task = asyncio.ensure_future(passed_on(waits(call, kind)))
        await asyncio.sleep(0)
        if is_lost_:
            plain.lost("gone")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert call.cancelled() is not is_lost_
        await held.ended.get()


async def passed_on(reply: Any) -> Any:
    return await reply


async def test_a_task_that_was_told_is_not_taken_for_cancelled(
    plain: PlainChannel, held: Held
) -> None:
    """It goes on, under time-outs too."""
    call = await begun(plain, held, "unary_unary")
    asyncio.get_running_loop().call_soon(plain.lost, "gone")
    async with asyncio.timeout(60):
        await is_lost(call)
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()
    await asyncio.sleep(0)


async def test_a_call_that_was_given_up_stays_given_up(plain: PlainChannel, held: Held) -> None:
    """The loss comes too late to matter."""
    call = await begun(plain, held, "unary_unary")
    call.cancel()
    plain.lost("gone")
    assert await call.code() is grpc.StatusCode.CANCELLED
    assert call.cancelled()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_call_that_is_dropped_is_let_go(plain: PlainChannel, held: Held) -> None:
    """At once: who counts calls does not hold them."""
    gc.disable()
    try:
        call = await begun(plain, held, "stream_stream")
        assert plain.is_busy
        del call
        assert not plain.is_busy
    finally:
        gc.enable()


async def test_a_channel_is_busy_until_its_calls_have_ended(
    plain: PlainChannel, held: Held
) -> None:
    """Also those that somebody still has."""
    assert not plain.is_busy
    calls: list[PlainCall] = [await begun(plain, held, kind) for kind in KINDS]
    for call in calls:
        assert plain.is_busy
        call.cancel()
    assert not plain.is_busy


async def test_who_is_told_may_call_again_at_once(plain: PlainChannel, held: Held) -> None:
    """The new call is not lost with the others, nor cancelled with their channel."""
    again: list[Any] = []
    call = await begun(plain, held, "unary_unary")
    call.add_done_callback(lambda _: again.append(begin(plain, "unary_stream")))
    plain.lost("gone")
    assert await again[0].read() == b"first"


async def test_the_next_call_after_a_loss_has_another_connection(
    plain: PlainChannel, held: Held
) -> None:
    """The one before is closed, and no method is bound to it."""
    call = await begun(plain, held, "unary_unary")
    before = plain.channel
    plain.lost("gone")
    assert plain.opened is None
    await is_lost(call)
    await begun(plain, held, "unary_unary")
    assert plain.channel is not before
    assert before.get_state() is grpc.ChannelConnectivity.SHUTDOWN
