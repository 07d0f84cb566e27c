"""Messages: their sizes, the bytes of them, and serializers that fail."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from tests.conformance.calls.paths import Client
from tests.conformance.calls.peer import MAX_MESSAGE
from tests.conformance.calls.raw import path as raw

pytestmark = pytest.mark.asyncio(loop_scope="module")

KIB = 1 << 10
SIZES = [
    *(0, 1),
    *(size * KIB + step for size in (16, 32, 64) for step in (-1, 0, 1)),
    *(1_024 * KIB, 5 * 1_024 * KIB),
]


def content(size: int) -> bytes:
    """Bytes of which no two neighbouring pieces are alike."""
    unit = b"".join(number.to_bytes(4, "big") for number in range(size // 4 + 1))
    return unit[:size]


@pytest.mark.parametrize("size", SIZES)
async def test_messages_of_every_size_come_through(client: Client, size: int) -> None:
    """There and back: a lane takes small requests itself, and replies of any size."""
    sent = content(size)
    assert await client.channel.unary_unary(raw("Echo"))(sent) == sent
    asked = size.to_bytes(4, "big")
    assert await client.channel.unary_unary(raw("Fill"))(asked) == bytes(size)


async def test_small_calls_are_answered_beside_large_ones(client: Client) -> None:
    """Replies under way together do not mix, and none waits for all of another."""
    large = [client.stub.Act(client.request("echo", size=3 << 20)) for _ in range(3)]
    small = [client.act("echo", b"%d" % number) for number in range(100)]
    answers = await asyncio.gather(*small)
    assert [answer.payload for answer in answers] == [b"%d" % i for i in range(100)]
    for answer in await asyncio.gather(*large):
        assert answer.payload == bytes(3 << 20)


async def test_large_reply_that_is_given_up_leaves_the_rest(client: Client) -> None:
    """The pieces of a reply that nobody waits for any more are dropped."""
    requests = [client.request("echo", size=4 << 20) for _ in range(3)]
    calls = [client.stub.Act(request) for request in requests]
    await client.noted(requests[1], "finished")
    calls[1].cancel()
    for call in (calls[0], calls[2]):
        assert len((await call).payload) == 4 << 20
    assert (await client.act("echo", b"next")).payload == b"next"


async def test_reply_beyond_what_the_caller_takes(client: Client) -> None:
    """It fails with RESOURCE_EXHAUSTED, that call alone."""
    fill = client.channel.unary_unary(raw("Fill"))
    beside = client.act("echo", b"beside it")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await fill((MAX_MESSAGE + 1).to_bytes(4, "big"))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (await beside).payload == b"beside it"
    assert len(await fill(MAX_MESSAGE.to_bytes(4, "big"))) == MAX_MESSAGE


@pytest.mark.parametrize(
    ("method", "wanted"), [("Nothing", b""), ("Words", "Wörter".encode())], ids=str
)
async def test_handler_without_a_serializer(client: Client, method: str, wanted: bytes) -> None:
    """It answers bytes; text counts as UTF-8 and None as no bytes."""
    assert await client.channel.unary_unary(raw(method))(b"") == wanted


@pytest.mark.parametrize("method", ["Number", "Array"])
async def test_answer_that_is_no_bytes(client: Client, method: str) -> None:
    """It is an exception of the handler, and harms no other call."""
    beside = client.act("echo", b"beside it")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.channel.unary_unary(raw(method))(b"")
    kind = {"Number": "int", "Array": "bytearray"}[method]
    assert caught.value.code() is grpc.StatusCode.UNKNOWN
    assert caught.value.details() == f"Unexpected <class 'TypeError'>: Expected bytes, got {kind}"
    assert (await beside).payload == b"beside it"


def refuse(_message: Any) -> Any:
    raise ValueError("refused by the serializer")


async def test_serializer_of_the_caller_that_raises(client: Client) -> None:
    """grpcio logs it and sends no bytes in its place; on a lane the caller gets the error."""
    echo = client.channel.unary_unary(raw("Echo"), request_serializer=refuse)
    if client.path.differs("serializers of the caller"):
        with pytest.raises(ValueError, match="refused by the serializer"):
            await echo(b"x")
    else:
        assert await echo(b"x") == b""


async def test_deserializer_of_the_caller_that_raises(client: Client) -> None:
    """grpcio logs it and answers None; on a lane the call fails, with the error as its cause."""
    call = client.channel.unary_unary(raw("Echo"), response_deserializer=refuse)(b"x")
    if client.path.differs("serializers of the caller"):
        for _ in range(2):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            assert caught.value.code() is await call.code() is grpc.StatusCode.INTERNAL
    else:
        assert await call is None
    assert call.done()


@pytest.mark.parametrize("message", ["text", 5], ids=repr)
async def test_request_that_is_no_bytes_is_refused(client: Client, message: Any) -> None:
    """Without a serializer a request is bytes; nothing else is sent."""
    with pytest.raises(TypeError):
        await client.channel.unary_unary(raw("Echo"))(message)
    assert (await client.act("echo", b"next")).payload == b"next"
