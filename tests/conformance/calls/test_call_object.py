"""What a stub answers: an object that can be awaited, asked and given up."""

from __future__ import annotations

import asyncio
import inspect
import pickle
from typing import Any

import grpc
import pytest

from tests.conformance.calls.paths import Client
from tests.conformance.calls.statuses import TRAILING

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_awaiting_answers_the_response(client: Client) -> None:
    """It answers the same response however often, and to however many, it is awaited."""
    call = client.act("echo", b"once")
    response = await call
    assert response.payload == b"once"
    assert await call is response
    shared = client.act("echo", b"shared")

    async def one() -> Any:
        return await shared

    first, second, third = await asyncio.gather(one(), one(), shared)
    assert first is second is third
    assert first.payload == b"shared"


async def test_awaiting_raises_the_same_error_again(client: Client) -> None:
    """A call that failed goes on failing, for everyone who awaits it."""
    call = client.act("abort_bare")
    for _ in range(2):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_many_calls_are_gathered(client: Client) -> None:
    """`gather` answers in the order of the calls."""
    calls = [client.act("echo", b"%d" % number) for number in range(20)]
    responses = await asyncio.gather(*calls)
    assert [response.payload for response in responses] == [b"%d" % i for i in range(20)]


async def test_object_is_what_grpcio_calls_a_call(client: Client) -> None:
    """Code that looks at its type finds grpcio's own."""
    call = client.act("echo")
    assert isinstance(call, grpc.aio.UnaryUnaryCall)
    assert isinstance(call, grpc.aio.Call)
    assert inspect.isawaitable(call)
    assert isinstance(repr(call), str)
    await call


async def test_state_before_and_after_an_answer(client: Client) -> None:
    """It is done when the answer is there, and was not cancelled."""
    request = client.request("hold", b"kept")
    call = client.stub.Act(request)
    await client.noted(request, "started")
    assert (call.done(), call.cancelled()) == (False, False)
    await client.release(request)
    assert (await call).payload == b"kept"
    assert (call.done(), call.cancelled()) == (True, False)
    assert await call.code() is grpc.StatusCode.OK
    assert await call.details() == ""
    assert not await call.debug_error_string()
    assert await call.initial_metadata() == grpc.aio.Metadata()
    assert await call.trailing_metadata() == grpc.aio.Metadata()


async def test_questions_wait_for_the_end(client: Client) -> None:
    """Code, details and metadata may be asked for before anybody awaits the call."""
    call = client.act("abort", b"ABORTED")
    code, details, trailing = await asyncio.gather(
        call.code(), call.details(), call.trailing_metadata()
    )
    assert (code, details) == (grpc.StatusCode.ABORTED, "details of ABORTED")
    assert trailing == grpc.aio.Metadata(*TRAILING)
    assert call.done()


async def test_who_asks_may_give_up_without_harm(client: Client) -> None:
    """Cancelling who waits for the code leaves the call alone."""
    request = client.request("hold", b"kept")
    call = client.stub.Act(request)
    asking = asyncio.ensure_future(call.code())
    await client.noted(request, "started")
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await client.release(request)
    assert (await call).payload == b"kept"


async def test_error_says_what_the_call_says(client: Client) -> None:
    """`AioRpcError` has code, details, both kinds of metadata and a text for developers."""
    call = client.act("abort", b"NOT_FOUND")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    error = caught.value
    assert isinstance(error, grpc.RpcError)
    assert error.code() is await call.code() is grpc.StatusCode.NOT_FOUND
    assert error.details() == await call.details() == "details of NOT_FOUND"
    assert error.initial_metadata() == await call.initial_metadata() == grpc.aio.Metadata()
    assert error.trailing_metadata() == await call.trailing_metadata()
    assert isinstance(error.trailing_metadata(), grpc.aio.Metadata)
    assert tuple(error.trailing_metadata()) == TRAILING
    assert "NOT_FOUND" in str(error.debug_error_string())
    assert "details of NOT_FOUND" in repr(error)


async def test_error_can_be_sent_to_another_process(client: Client) -> None:
    """As task queues and process pools do with what a call raised."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.act("abort", b"NOT_FOUND")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.code(), again.details()) == (caught.value.code(), caught.value.details())
    assert again.trailing_metadata() == caught.value.trailing_metadata()


async def test_callback_is_called_with_the_call(client: Client) -> None:
    """Once, when it has ended; at once, when it has ended before."""
    ended: asyncio.Queue[Any] = asyncio.Queue()
    for behaviour in ("echo", "abort_bare"):
        call = client.act(behaviour)
        call.add_done_callback(ended.put_nowait)
        call.add_done_callback(ended.put_nowait)
        assert await ended.get() is call
        assert await ended.get() is call
        assert call.done()
        call.add_done_callback(ended.put_nowait)
        assert ended.get_nowait() is call
        await asyncio.wait([asyncio.ensure_future(call.code())])


async def test_wait_for_connection_tells_of_failure(client: Client) -> None:
    """It returns when the call is on its way, and raises what the call failed with."""
    well = client.act("echo", b"well")
    await well.wait_for_connection()
    assert (await well).payload == b"well"
    failed = client.act("abort_bare")
    await failed.code()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await failed.wait_for_connection()
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_wait_for_connection_does_not_need_the_answer(client: Client) -> None:
    """On lanes; grpcio's waits for the answer, and gives the call up with who waits for it."""
    request = client.request("hold", b"answer")
    call = client.stub.Act(request)
    waits = asyncio.ensure_future(call.wait_for_connection())
    await client.noted(request, "started")
    differs = client.path.differs("wait for connection")
    if differs:
        await waits
    assert waits.done() == differs
    await client.release(request)
    await waits
    assert (await call).payload == b"answer"


async def test_wait_for_connection_of_a_call_that_is_given_up(client: Client) -> None:
    """It is cancelled too."""
    call = client.act("hold")
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call.wait_for_connection()


async def test_cancelling_who_waits_for_the_connection(client: Client) -> None:
    """It gives up a call of grpcio, and costs none on a lane."""
    request = client.request("hold", b"kept")
    call = client.stub.Act(request)
    await client.noted(request, "started")
    waits = asyncio.ensure_future(call.wait_for_connection())
    await asyncio.sleep(0)
    waits.cancel()
    await asyncio.wait([waits])
    if not client.path.differs("wait for connection"):
        assert await call.code() is grpc.StatusCode.CANCELLED
        return
    await client.release(request)
    assert (await call).payload == b"kept"


async def test_call_that_nobody_awaits_is_served(client: Client) -> None:
    """It runs although its object was dropped."""
    request = client.request("echo")
    client.stub.Act(request)
    await client.noted(request, "finished")


async def test_compression_is_accepted(client: Client) -> None:
    """It changes how bytes are carried, not what is answered."""
    response = await client.act("echo", b"x" * 1000, compression=grpc.Compression.Gzip)
    assert response.payload == b"x" * 1000
    assert (await client.act("compress", b"y" * 1000)).payload == b"y" * 1000


async def test_request_is_taken_when_the_call_is_made(client: Client) -> None:
    """Later changes of the request's object do not reach the server."""
    request = client.request("echo", b"before")
    call = client.stub.Act(request)
    await asyncio.sleep(0)
    request.payload = b"after"
    assert (await call).payload == b"before"
