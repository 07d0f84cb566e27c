"""A fake streams: answers as they are read, requests as they are written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import pytest

from mesh.errors import ErrorView, MeshError, MeshReason
from mesh.testing import calls, fake
from tests.unit.mesh.testing.talk import TalkServiceStub, text

OVERLOADED = MeshError(MeshReason.OVERLOADED)


def talk(**answers: Any) -> TalkServiceStub:
    return fake(TalkServiceStub, answers)


async def texts(call: Any) -> list[str]:
    return [answer.value async for answer in call]


async def several() -> AsyncIterator[Any]:
    yield text("a")
    yield text("b")


@pytest.mark.parametrize(
    "answer",
    [
        [text("a"), text("b")],
        (piece for piece in (text("a"), text("b"))),
        several(),
        lambda _: [text("a"), text("b")],
        lambda _: several(),
    ],
    ids=["list", "generator", "async generator", "callable", "async callable"],
)
async def test_a_stream_is_answered_by_what_can_be_iterated(answer: Any) -> None:
    """Iterables, async iterables, and callables that return one."""
    assert await texts(talk(Recite=answer).Recite(text("go"))) == ["a", "b"]


async def test_an_async_generator_function_answers_a_stream() -> None:
    """As a handler would be written."""

    async def recite(request: Any) -> AsyncIterator[Any]:
        for letter in request.value:
            yield text(letter)

    assert await texts(talk(Recite=recite).Recite(text("xyz"))) == ["x", "y", "z"]


async def test_a_stream_may_end_in_an_error() -> None:
    """What comes before it is read first."""
    call = talk(Recite=[text("a"), OVERLOADED]).Recite(text("go"))
    assert (await call.read()).value == "a"
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call.read()
    assert ErrorView.from_rpc(failed.value).reason == "OVERLOADED"
    assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_reading_past_the_end_answers_eof() -> None:
    """However often."""
    call = talk(Recite=[text("a")]).Recite(text("go"))
    await call.read()
    assert [await call.read(), await call.read()] == [grpc.aio.EOF, grpc.aio.EOF]


async def test_an_endless_stream_is_made_as_it_is_read() -> None:
    """Sixteen answers ahead of the reader, no more."""
    made: list[int] = []

    def endless(_request: Any) -> Iterator[Any]:
        while True:
            made.append(1)
            yield text("on")

    call = talk(Recite=endless).Recite(text("go"))
    for _ in range(100):
        assert (await call.read()).value == "on"
    assert 100 <= len(made) <= 118
    call.cancel()


async def test_an_iterator_serves_one_call() -> None:
    """The second is told, in place of an empty stream."""
    stub = talk(Recite=iter([text("a")]))
    await texts(stub.Recite(text("go")))
    with pytest.raises(TypeError, match="Recite was called again, and its iterator is used up"):
        await texts(stub.Recite(text("go")))


@pytest.mark.parametrize("answer", [text("a"), [text("a"), 3], 3])
def test_a_stream_of_something_else_is_refused(answer: Any) -> None:
    """A single message is no stream."""
    with pytest.raises(TypeError, match=r"TalkService\.Recite answers|Recite answers a stream"):
        talk(Recite=answer)


async def join(requests: AsyncIterator[Any]) -> Any:
    return text("".join([request.value async for request in requests]))


async def test_requests_of_a_client_stream_come_from_an_iterator() -> None:
    """An iterable or an async iterable; the fake tells what was sent."""
    stub = talk(Listen=join)
    assert (await stub.Listen([text("x"), text("y")])).value == "xy"
    assert (await stub.Listen(several())).value == "ab"
    assert [[r.value for r in asked.request] for asked in calls(stub)] == [["x", "y"], ["a", "b"]]


async def test_requests_of_a_client_stream_are_written() -> None:
    """Up to done_writing, which may be called twice."""
    call = talk(Listen=join).Listen()
    await call.write(text("o"))
    await call.write(text("k"))
    await call.done_writing()
    await call.done_writing()
    with pytest.raises(asyncio.InvalidStateError):
        await call.write(text("late"))
    assert (await call).value == "ok"


async def test_a_fixed_answer_to_a_client_stream_comes_when_it_has_ended() -> None:
    """Not before the last request."""
    call = talk(Listen=text("thanks")).Listen()
    await call.write(text("o"))
    assert not call.done()
    await call.done_writing()
    assert (await call).value == "thanks"


async def test_both_sides_stream() -> None:
    """An answer can be read before the next request is written."""

    async def echo(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for request in requests:
            yield text(request.value.upper())

    call = talk(Chat=echo).Chat()
    for word in ("a", "b"):
        await call.write(text(word))
        assert (await call.read()).value == word.upper()
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert await texts(talk(Chat=echo).Chat([text("c")])) == ["C"]


async def test_writing_beside_an_iterator_is_refused() -> None:
    """As grpc.aio does."""
    call = talk(Listen=join).Listen([text("x")])
    with pytest.raises(grpc.aio.UsageError):
        await call.write(text("y"))
    await call


async def test_writing_to_a_call_that_ended_is_refused() -> None:
    """The server has answered already."""
    call = talk(Listen=OVERLOADED).Listen()
    assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    with pytest.raises(asyncio.InvalidStateError):
        await call.write(text("x"))


async def test_a_wrong_request_is_refused_when_it_is_written() -> None:
    """With what the contract wants."""
    call = talk(Listen=join).Listen()
    with pytest.raises(TypeError, match=r"takes google\.protobuf\.StringValue, not int"):
        await call.write(3)
    call.cancel()
