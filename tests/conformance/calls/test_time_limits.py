"""Deadlines: they bound the caller's wait and the handler's work."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from mesh.outgoing import DEFAULT_TIMEOUT_S
from tests.conformance.calls.paths import Client

pytestmark = pytest.mark.asyncio(loop_scope="module")

LATE = grpc.StatusCode.DEADLINE_EXCEEDED


async def test_late_call_fails_and_its_handler_is_cancelled(client: Client) -> None:
    """Both sides give up at the deadline."""
    request = client.request("hold")
    call = client.stub.Act(request, timeout=0.2)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert (caught.value.code(), caught.value.details()) == (LATE, "Deadline Exceeded")
    assert caught.value.trailing_metadata() == grpc.aio.Metadata()
    assert (call.done(), call.cancelled()) == (True, False)
    assert call.time_remaining() == pytest.approx(0, abs=0.05)
    assert not call.cancel()
    await client.noted(request, "cancelled")


async def test_caller_does_not_wait_for_who_ignores_the_deadline(client: Client) -> None:
    """The handler goes on, its answer goes nowhere."""
    request = client.request("ignore_cancellation")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.stub.Act(request, timeout=0.2)
    assert caught.value.code() is LATE
    await client.release(request)
    await client.noted(request, "went on")
    assert (await client.act("echo", b"next")).payload == b"next"


@pytest.mark.parametrize("limit_s", [0, -1])
async def test_deadline_that_has_passed_fails_at_once(client: Client, limit_s: float) -> None:
    """No time and less than none are late."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.act("hold", timeout=limit_s)
    assert (caught.value.code(), caught.value.details()) == (LATE, "Deadline Exceeded")


async def test_time_that_remains_is_known_to_both(client: Client) -> None:
    """The caller's time-out reaches the handler, less the way."""
    request = client.request("hold")
    call = client.stub.Act(request, timeout=60)
    remaining = call.time_remaining()
    assert remaining is not None
    assert 0 < remaining <= 60
    started = await client.noted(request, "started")
    assert 30 < started <= 60.5
    await client.release(request)
    await call


async def test_call_without_a_time_out(client: Client) -> None:
    """It is bounded by the mesh's default, or by nothing where grpcio calls."""
    request = client.request("time")
    call = client.stub.Act(request)
    at_caller, at_handler = call.time_remaining(), await client.noted(request, "remaining")
    if client.path.differs("default time-out"):
        assert 0 < at_caller <= DEFAULT_TIMEOUT_S
        assert 0 < at_handler <= DEFAULT_TIMEOUT_S + 0.5
    else:
        assert (at_caller, at_handler) == (None, None)
    await call


async def test_time_out_of_a_year_is_one(client: Client) -> None:
    """A limit beyond any clock's patience does no harm."""
    response = await client.act("echo", b"in time", timeout=365 * 86_400)
    assert response.payload == b"in time"


async def test_answer_within_the_deadline_counts(client: Client) -> None:
    """Many calls with deadlines of their own end each in its own way."""
    requests = [client.request("hold", b"%d" % number) for number in range(20)]
    calls = [
        client.stub.Act(request, timeout=0.3 if number % 2 else 30)
        for number, request in enumerate(requests)
    ]
    codes = await asyncio.gather(*(call.code() for call in calls[1::2]))
    assert set(codes) == {LATE}
    await asyncio.gather(*map(client.release, requests[::2]))
    answers = await asyncio.gather(*calls[::2])
    assert [answer.payload for answer in answers] == [b"%d" % i for i in range(0, 20, 2)]
