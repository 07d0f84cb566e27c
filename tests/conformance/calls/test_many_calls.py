"""Many calls at once: each gets its own answer."""

from __future__ import annotations

import asyncio
import random

import grpc
import pytest

from tests.conformance.calls.contract import messages
from tests.conformance.calls.paths import Client

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALLS = 500


async def test_each_of_many_calls_gets_its_own_answer(client: Client) -> None:
    """Their payloads are all different, and of many sizes."""
    sizes = random.Random(6)
    payloads = [b"%d:" % number * sizes.choice((1, 10, 1_000)) for number in range(CALLS)]
    answers = await asyncio.gather(*(client.act("echo", payload) for payload in payloads))
    assert [answer.payload for answer in answers] == payloads


async def test_calls_are_answered_in_the_order_of_their_handlers(client: Client) -> None:
    """Not in that of the requests: none waits for those before it."""
    requests = [client.request("hold", b"%d" % number) for number in range(50)]
    calls = [client.stub.Act(request) for request in requests]
    await asyncio.gather(*(client.noted(request, "started") for request in requests))
    for request, call in zip(reversed(requests), reversed(calls), strict=True):
        await client.release(request)
        assert (await call).payload == request.payload


async def test_more_calls_may_wait_than_a_lane_admits(client: Client) -> None:
    """Those beyond the window wait for a place; all are answered."""
    requests = [client.request("hold", b"%d" % number) for number in range(300)]
    calls = [client.stub.Act(request, timeout=30) for request in requests]
    await asyncio.gather(*map(client.release, requests))
    answers = await asyncio.gather(*calls)
    assert [answer.payload for answer in answers] == [request.payload for request in requests]


async def test_calls_end_each_in_its_own_way(client: Client) -> None:
    """Answers, failures, cancellations and deadlines do not mix."""
    rounds = range(40)
    well = [client.act("echo", b"%d" % number) for number in rounds]
    failed = [client.act("abort", b"ABORTED") for _ in rounds]
    held = [client.act("hold") for _ in rounds]
    late = [client.act("hold", timeout=0.3) for _ in rounds]
    await asyncio.gather(*well)
    for call in held:
        call.cancel()
    calls = [*well, *failed, *held, *late]
    codes = await asyncio.gather(*(call.code() for call in calls))
    wanted = ("OK", "ABORTED", "CANCELLED", "DEADLINE_EXCEEDED")
    assert codes == [grpc.StatusCode[name] for name in wanted for _ in rounds]


async def test_unary_calls_and_streams_go_side_by_side(client: Client) -> None:
    """Streams take the ordinary path of the same channel object."""
    stream = client.interop.FullDuplexCall()
    for number in range(5):
        await stream.write(stream_request(number))
        answer, reply = await asyncio.gather(client.act("echo", b"unary"), stream.read())
        assert (answer.payload, len(reply.payload.body)) == (b"unary", number)
    await stream.done_writing()
    assert await stream.read() is grpc.aio.EOF


def stream_request(size: int) -> object:
    return messages().OutputRequest(response_sizes=[size])
