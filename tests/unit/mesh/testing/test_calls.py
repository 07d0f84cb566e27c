"""The calls of a fake are grpc.aio's: all four kinds, deadline, cancellation, status."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from mesh.errors import MeshError, MeshReason
from mesh.testing import fake
from tests.unit.mesh.testing.talk import TalkServiceStub, text

OVERLOADED = MeshError(MeshReason.OVERLOADED)


def talk(**answers: Any) -> TalkServiceStub:
    return fake(TalkServiceStub, answers)


async def test_a_call_tells_its_status() -> None:
    """Code, details and metadata, after it was answered and after it failed."""
    good = talk(Say=text("hi")).Say(text("?"))
    assert isinstance(good, grpc.aio.UnaryUnaryCall)
    assert (await good.code(), await good.details()) == (grpc.StatusCode.OK, "")
    assert [*await good.initial_metadata(), *await good.trailing_metadata()] == []
    await good.wait_for_connection()
    assert ((await good).value, (await good).value) == ("hi", "hi")
    bad = talk(Say=OVERLOADED).Say(text("?"))
    assert await bad.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await bad.details() == OVERLOADED.detail
    assert [key for key, _ in await bad.trailing_metadata()] == ["grpc-status-details-bin"]


async def never(_request: Any) -> Any:
    await asyncio.Event().wait()


async def test_a_call_that_is_not_answered_in_time_fails_so() -> None:
    """The time-out that the caller gave holds."""
    call = talk(Say=never).Say(text("?"), timeout=0.01)
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    assert failed.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_timeout_of_the_test_itself_is_no_status() -> None:
    """Only the caller's own deadline is."""

    def answer(_request: Any) -> Any:
        raise TimeoutError("of the test")

    with pytest.raises(TimeoutError, match="of the test"):
        await talk(Say=answer).Say(text("?"), timeout=60)


async def test_a_call_tells_the_time_that_it_has_left() -> None:
    """Seconds; None where the caller stated none."""
    stub = talk(Say=never)
    bounded, free = stub.Say(text("?"), timeout=60), stub.Say(text("?"))
    assert 0 < bounded.time_remaining() < 61
    assert free.time_remaining() is None
    bounded.cancel()
    free.cancel()


async def test_cancelling_a_call_ends_its_answer() -> None:
    """The callable is cancelled; the caller sees CancelledError, the call CANCELLED."""
    started, ended = asyncio.Event(), asyncio.Event()

    async def answer(_request: Any) -> Any:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    call = talk(Say=answer).Say(text("?"))
    await started.wait()
    assert (call.done(), call.cancelled()) == (False, False)
    assert call.cancel()
    assert (call.done(), call.cancelled(), call.cancel()) == (True, True, False)
    await ended.wait()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await call.code() is grpc.StatusCode.CANCELLED


async def test_cancelling_who_waits_cancels_the_call() -> None:
    """Also before the answer's first step; a reader of a stream as well."""
    say, recite = talk(Say=never).Say(text("?")), talk(Recite=never).Recite(text("?"))

    async def wait_for(call: Any) -> None:
        await call

    for waiting in (asyncio.ensure_future(wait_for(say)), asyncio.ensure_future(recite.read())):
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert say.cancelled()
    assert recite.cancelled()


async def test_a_stream_that_was_cancelled_ends_for_its_reader() -> None:
    """The generator behind it is closed."""
    closed = asyncio.Event()

    async def recite(_request: Any) -> AsyncIterator[Any]:
        try:
            yield text("a")
            await asyncio.Event().wait()
        finally:
            closed.set()

    call = talk(Recite=recite).Recite(text("go"))
    assert (await call.read()).value == "a"
    call.cancel()
    await closed.wait()
    with pytest.raises(asyncio.CancelledError):
        await call.read()


async def test_who_asked_to_be_told_is_told_of_the_end() -> None:
    """With the call; also when it has ended before."""
    told: asyncio.Queue[Any] = asyncio.Queue()
    call = talk(Say=text("hi")).Say(text("?"))
    call.add_done_callback(told.put_nowait)
    assert await told.get() is call
    call.add_done_callback(told.put_nowait)
    assert await told.get() is call
