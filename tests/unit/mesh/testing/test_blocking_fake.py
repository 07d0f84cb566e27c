"""A fake stub for code that blocks."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from typing import Any, assert_type

import grpc
import pytest

from engine.customer.v1.customer_pb2 import Customer, GetCustomerRequest, GetCustomerResponse
from engine.customer.v1.customer_pb2_grpc import CustomerServiceStub
from mesh.errors import ErrorView, MeshError, MeshReason
from mesh.testing import blocking_fake, calls
from tests.unit.mesh.testing.talk import TalkServiceStub, text

ASK = GetCustomerRequest(customer_id=7)
SEVEN = GetCustomerResponse(customer=Customer(customer_id=7))


def test_a_call_returns_its_answer() -> None:
    """The type checker sees the blocking stub, and the call is told."""
    stub = blocking_fake(CustomerServiceStub, {"GetCustomer": SEVEN})
    assert assert_type(stub.GetCustomer(ASK, timeout=2.0), GetCustomerResponse) == SEVEN
    assert [(call.method, call.request, call.timeout) for call in calls(stub)] == [
        ("GetCustomer", ASK, 2.0)
    ]


def test_an_error_can_be_read_as_a_real_one() -> None:
    """It is a `grpc.RpcError` with details."""
    stub = blocking_fake(CustomerServiceStub, {"GetCustomer": MeshError(MeshReason.OVERLOADED)})
    with pytest.raises(grpc.RpcError) as failed:
        stub.GetCustomer(ASK)
    assert ErrorView.from_rpc(failed.value).reason == "OVERLOADED"


def test_a_stream_of_answers_is_made_as_it_is_iterated() -> None:
    """Also one without end."""
    stub = blocking_fake(TalkServiceStub, {"Recite": lambda _: itertools.repeat(text("on"))})
    answers = stub.Recite(text("go"))
    assert [next(answers).value for _ in range(50)] == ["on"] * 50
    answers.close()


def test_requests_are_streamed_from_an_iterator() -> None:
    """To one answer, and to many."""

    async def join(requests: AsyncIterator[Any]) -> Any:
        return text("".join([request.value async for request in requests]))

    async def echo(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for request in requests:
            yield request

    stub = blocking_fake(TalkServiceStub, {"Listen": join, "Chat": echo})
    words = [text("x"), text("y")]
    assert stub.Listen(iter(words)).value == "xy"
    assert [*stub.Chat(iter(words))] == words


async def test_a_call_in_a_running_loop_is_refused() -> None:
    """It would block the loop."""
    stub = blocking_fake(CustomerServiceStub, {"GetCustomer": SEVEN})
    with pytest.raises(RuntimeError, match="use fake"):
        stub.GetCustomer(ASK)
