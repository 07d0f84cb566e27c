"""Calls that are given up by who made them: the handler hears of it."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from tests.conformance.calls.paths import Client

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOCALLY = "Locally cancelled by application!"


async def awaiting(call: Any) -> Any:
    return await call


async def test_cancelled_call_says_so(client: Client) -> None:
    """It can be cancelled once, and everything about it says that it was."""
    request = client.request("hold")
    call = client.stub.Act(request)
    await client.noted(request, "started")
    assert (call.cancel(), call.cancel()) == (True, False)
    assert (call.done(), call.cancelled()) == (True, True)
    for _ in range(2):
        with pytest.raises(asyncio.CancelledError):
            await call
    assert await call.code() is grpc.StatusCode.CANCELLED
    assert await call.details() == LOCALLY
    assert await call.initial_metadata() == grpc.aio.Metadata()
    assert await call.trailing_metadata() == grpc.aio.Metadata()
    await client.noted(request, "cancelled")


async def test_answered_call_cannot_be_cancelled(client: Client) -> None:
    """The answer stays."""
    call = client.act("echo", b"here")
    await call
    assert not call.cancel()
    assert not call.cancelled()
    assert (await call).payload == b"here"


async def test_call_cancelled_at_once_is_not_served(client: Client) -> None:
    """Nothing of it reaches a handler; the next call is served."""
    request = client.request("echo")
    call = client.stub.Act(request)
    assert call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await call.code() is grpc.StatusCode.CANCELLED
    assert (await client.act("echo", b"next")).payload == b"next"


async def test_callback_hears_of_cancellation(client: Client) -> None:
    """It is called with a call that is cancelled."""
    request = client.request("hold")
    call = client.stub.Act(request)
    ended: asyncio.Queue[Any] = asyncio.Queue()
    call.add_done_callback(ended.put_nowait)
    await client.noted(request, "started")
    call.cancel()
    assert (await ended.get()).cancelled()


async def test_cancelling_the_task_cancels_the_handler(client: Client) -> None:
    """As any awaited coroutine would be cancelled."""
    request = client.request("hold")
    call = client.stub.Act(request)
    task = asyncio.ensure_future(awaiting(call))
    await client.noted(request, "started")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await client.noted(request, "cancelled")
    assert call.cancelled()
    assert await call.code() is grpc.StatusCode.CANCELLED


async def test_cancelling_one_of_two_tasks_cancels_the_call_of_both(client: Client) -> None:
    """A call is one, whoever awaits it."""
    request = client.request("hold")
    call = client.stub.Act(request)
    one, other = (asyncio.ensure_future(awaiting(call)) for _ in range(2))
    await client.noted(request, "started")
    one.cancel()
    for task in (one, other):
        with pytest.raises(asyncio.CancelledError):
            await task
    await client.noted(request, "cancelled")


async def test_shielded_call_goes_on(client: Client) -> None:
    """`shield` keeps a call from its task's end."""
    request = client.request("hold", b"kept")
    inner = asyncio.ensure_future(awaiting(client.stub.Act(request)))
    task = asyncio.ensure_future(awaiting(asyncio.shield(inner)))
    await client.noted(request, "started")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await client.release(request)
    assert (await inner).payload == b"kept"


async def test_time_limit_of_asyncio_cancels_the_handler(client: Client) -> None:
    """`wait_for` and `timeout` give a call up as a deadline would."""
    request = client.request("hold")
    call = client.stub.Act(request)
    await client.noted(request, "started")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(call, 0.01)
    await client.noted(request, "cancelled")
    assert call.cancelled()


async def test_handler_may_clean_up(client: Client) -> None:
    """A cancelled handler may await what its clean-up needs; nothing hurries it."""
    request = client.request("clean_up")
    call = client.stub.Act(request)
    await client.noted(request, "started")
    call.cancel()
    assert (await client.act("echo", b"meanwhile")).payload == b"meanwhile"
    await client.release(request)
    await client.noted(request, "cleaned up")


async def test_answer_to_a_cancelled_call_goes_nowhere(client: Client) -> None:
    """A handler that ignores its end harms no other call."""
    request = client.request("ignore_cancellation")
    call = client.stub.Act(request)
    await client.noted(request, "started")
    call.cancel()
    await client.release(request)
    await client.noted(request, "went on")
    assert (await client.act("echo", b"next")).payload == b"next"
    assert call.cancelled()


async def test_others_are_answered_when_some_are_cancelled(client: Client) -> None:
    """Every other of many calls is given up; the rest are answered rightly."""
    requests = [client.request("hold", b"%d" % number) for number in range(40)]
    calls = [client.stub.Act(request) for request in requests]
    await asyncio.gather(*(client.noted(request, "started") for request in requests))
    for call in calls[::2]:
        call.cancel()
    await asyncio.gather(*map(client.release, requests[1::2]))
    answers = await asyncio.gather(*calls[1::2])
    assert [answer.payload for answer in answers] == [b"%d" % i for i in range(1, 40, 2)]
    for request in requests[::2]:
        await client.noted(request, "cancelled")


async def test_status_cancelled_by_the_server_is_an_error(client: Client) -> None:
    """It is told from a cancellation of our own: nobody here gave up."""
    call = client.act("abort", b"CANCELLED")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is grpc.StatusCode.CANCELLED
    assert caught.value.details() == "details of CANCELLED"
    assert call.cancelled()
