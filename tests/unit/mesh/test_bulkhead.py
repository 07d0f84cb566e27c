"""A bound for the calls of one method."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from engine.customer.v1 import customer_pb2
from engine.mesh.v1 import policy_pb2
from mesh import contract
from mesh.contract import Method
from mesh.errors import MeshError, MeshReason
from mesh.interceptors.bulkhead import BulkheadInterceptor
from mesh.telemetry import Meters

GET = contract.method(
    customer_pb2.DESCRIPTOR.services_by_name["CustomerService"].methods_by_name["GetCustomer"]
)
MOST = 2
CALL: Any = None


def bounded(most: int = MOST, *, streams: bool = False) -> Method:
    policy = policy_pb2.MethodPolicy(permission="x", max_in_flight=most)
    return replace(GET, policy=policy, server_streaming=streams)


class Desk:
    """A handler that waits for what it is asked for, behind a bulkhead."""

    def __init__(self) -> None:
        self.meters = Meters()
        self.bulkhead = BulkheadInterceptor(self.meters)
        self.handler = self.bulkhead.bind(bounded(), self.serve)

    async def serve(self, call: Any, request: Any) -> Any:
        return await request

    @property
    def refused(self) -> int:
        return self.meters.counters["mesh.calls_bulkheaded"].value


async def test_one_call_too_many_is_refused_at_once() -> None:
    """It is told to come again, and counted; those under way go on."""
    desk, answer = Desk(), asyncio.get_running_loop().create_future()
    running = [asyncio.ensure_future(desk.handler(CALL, answer)) for _ in range(MOST)]
    await asyncio.sleep(0)
    with pytest.raises(MeshError) as caught:
        await desk.handler(CALL, answer)
    assert caught.value.reason is MeshReason.OVERLOADED
    assert caught.value.retry_after_s
    assert desk.refused == 1
    answer.set_result("answer")
    assert await asyncio.gather(*running) == ["answer"] * MOST


@pytest.mark.parametrize("how", ["answered", "failed", "cancelled"])
async def test_a_call_that_has_ended_makes_room(how: str) -> None:
    """However it ended."""
    desk = Desk()
    for _ in range(3 * MOST):
        answer = asyncio.get_running_loop().create_future()
        running = asyncio.ensure_future(desk.handler(CALL, answer))
        await asyncio.sleep(0)
        if how == "answered":
            answer.set_result(None)
        elif how == "failed":
            answer.set_exception(ValueError())
        else:
            running.cancel()
        await asyncio.wait([running])
    assert desk.refused == 0


async def test_a_stream_takes_room_for_as_long_as_it_answers() -> None:
    """Not only while it opens."""

    async def answers() -> AsyncIterator[int]:
        yield 1
        yield 2

    async def serve(call: Any, request: Any) -> Any:
        return answers()

    opened = BulkheadInterceptor(Meters()).bind(bounded(most=1, streams=True), serve)
    first = await opened(CALL, None)
    assert await anext(first) == 1
    with pytest.raises(MeshError):
        await anext(await opened(CALL, None))
    assert [answer async for answer in first] == [2]
    assert [answer async for answer in await opened(CALL, None)] == [1, 2]


def test_a_method_without_a_bound_of_its_own_pays_nothing() -> None:
    """The step leaves itself out."""
    desk = Desk()
    assert desk.bulkhead.bind(bounded(0), desk.serve) == desk.serve
