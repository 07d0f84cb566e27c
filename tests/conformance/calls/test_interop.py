"""The published interoperability cases of gRPC, on every path."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from tests.conformance.calls.contract import PACKAGE, messages, stubs
from tests.conformance.calls.interop import INITIAL, TRAILING
from tests.conformance.calls.paths import Client

pytestmark = pytest.mark.asyncio(loop_scope="module")

LARGE_REQUEST, LARGE_REPLY = 271_828, 314_159
REQUESTS = (27_182, 8, 1_828, 45_904)
REPLIES = (31_415, 9, 2_653, 58_979)
SPECIAL = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"


def payload(size: int) -> object:
    return messages().Payload(body=bytes(size))


def ask(request_size: int, *reply_sizes: int) -> object:
    return messages().OutputRequest(response_sizes=reply_sizes, payload=payload(request_size))


async def test_empty_unary(client: Client) -> None:
    """A message of no bytes is answered by one."""
    assert await client.interop.EmptyCall(messages().Empty()) == messages().Empty()


async def test_large_unary(client: Client) -> None:
    """A large request and a large reply come through, together and alone."""
    for size in (LARGE_REQUEST, 1):
        request = messages().UnaryRequest(response_size=LARGE_REPLY, payload=payload(size))
        response = await client.interop.UnaryCall(request)
        assert response.payload.body == bytes(LARGE_REPLY)


async def test_client_streaming(client: Client) -> None:
    """Requests that are streamed get one reply."""
    requests = [messages().InputRequest(payload=payload(size)) for size in REQUESTS]
    response = await client.interop.StreamingInputCall(iter(requests))
    assert response.aggregated_size == sum(REQUESTS)


async def test_server_streaming(client: Client) -> None:
    """One request gets replies in order."""
    call = client.interop.StreamingOutputCall(ask(0, *REPLIES))
    assert [len(response.payload.body) async for response in call] == [*REPLIES]


async def test_ping_pong(client: Client) -> None:
    """Each request is answered before the next is sent."""
    call = client.interop.FullDuplexCall()
    for sent, wanted in zip(REQUESTS, REPLIES, strict=True):
        await call.write(ask(sent, wanted))
        assert len((await call.read()).payload.body) == wanted
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK


async def test_empty_stream(client: Client) -> None:
    """A stream of no requests gets no replies."""
    call = client.interop.FullDuplexCall()
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK


async def test_custom_metadata(client: Client) -> None:
    """Initial metadata come back as such, and trailing ones with their bytes."""
    value = b"\xab\xab\xab"
    sent = ((INITIAL, "test_initial_metadata_value"), (TRAILING, value))
    unary = client.interop.UnaryCall(messages().UnaryRequest(response_size=1), metadata=sent)
    await unary
    stream = client.interop.FullDuplexCall(metadata=sent)
    await stream.write(ask(1, 1))
    await stream.done_writing()
    assert [len(response.payload.body) async for response in stream] == [1]
    for call in (unary, stream):
        assert (await call.initial_metadata())[INITIAL] == "test_initial_metadata_value"
        assert (await call.trailing_metadata())[TRAILING] == value


@pytest.mark.parametrize("message", ["test status message", SPECIAL], ids=["plain", "special"])
async def test_status_code_and_message(client: Client, message: str) -> None:
    """The server's code and message reach the caller, whatever its characters."""
    status = messages().EchoStatus(code=2, message=message)
    unary = client.interop.UnaryCall(messages().UnaryRequest(response_status=status))
    with pytest.raises(grpc.aio.AioRpcError):
        await unary
    stream = client.interop.FullDuplexCall()
    await stream.write(messages().OutputRequest(response_status=status))
    await stream.done_writing()
    for call in (unary, stream):
        assert await call.code() is grpc.StatusCode.UNKNOWN
        assert await call.details() == message


async def test_unimplemented_method(client: Client) -> None:
    """A method that the servicer leaves out is UNIMPLEMENTED, and so is one of no contract."""
    unknown = client.channel.unary_unary(f"/{PACKAGE}.InteropService/Unknown")
    for call in (client.interop.UnimplementedCall(messages().Empty()), unknown(b"")):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_unimplemented_service(client: Client) -> None:
    """A service that nobody serves is UNIMPLEMENTED."""
    stub = stubs().UnimplementedServiceStub(client.channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.UnimplementedCall(messages().Empty())
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert caught.value.details() == "Method not found!"


async def test_cancel_after_begin(client: Client) -> None:
    """A call that is cancelled before it sent anything is CANCELLED."""
    call = client.interop.StreamingInputCall()
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await call.code() is grpc.StatusCode.CANCELLED


async def test_cancel_after_first_response(client: Client) -> None:
    """A call that is cancelled between two replies is CANCELLED."""
    call = client.interop.FullDuplexCall()
    await call.write(ask(REQUESTS[0], REPLIES[0]))
    assert len((await call.read()).payload.body) == REPLIES[0]
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call.read()
    assert await call.code() is grpc.StatusCode.CANCELLED


async def test_timeout_on_sleeping_server(client: Client) -> None:
    """A server that does not answer in time costs the caller no more than his time-out."""
    call = client.interop.FullDuplexCall(timeout=0.01)
    with pytest.raises(grpc.aio.AioRpcError):
        await call.read()
    assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
