"""A fake stub answers as its mapping says, and tells what it was asked."""

from __future__ import annotations

from typing import Any, assert_type
from unittest.mock import AsyncMock

import grpc
import pytest

from engine.customer.v1 import customer_pb2
from engine.customer.v1.customer_pb2 import (
    Customer,
    GetCustomerRequest,
    GetCustomerResponse,
    ListCustomersRequest,
)
from engine.customer.v1.customer_pb2_grpc import CustomerServiceStub
from mesh.errors import ErrorView, MeshError, MeshReason
from mesh.testing import Asked, calls, failure, fake

ASK = GetCustomerRequest(customer_id=7)
SEVEN = GetCustomerResponse(customer=Customer(customer_id=7))


def of(answer: Any) -> Any:
    """A fake whose GetCustomer answers so."""
    return fake(CustomerServiceStub, {"GetCustomer": answer})


async def refusal(call: Any) -> ErrorView:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return ErrorView.from_rpc(failed.value)


async def test_a_message_is_the_answer_of_every_call() -> None:
    """Each call gets a copy of its own."""
    stub = of(SEVEN)
    one, other = await stub.GetCustomer(ASK), await stub.GetCustomer(ASK)
    assert one == other == SEVEN
    one.customer.customer_id = 8
    assert SEVEN.customer.customer_id == 7


async def test_the_type_checker_sees_the_asynchronous_stub() -> None:
    """Code under test takes a fake where it takes a stub."""
    stub = fake(CustomerServiceStub, {"GetCustomer": SEVEN})
    assert_type(await stub.GetCustomer(ASK), customer_pb2.GetCustomerResponse)


async def test_a_callable_is_given_the_request_as_a_server_gets_it() -> None:
    """Equal to what was sent, and another object."""
    asked: list[Any] = []

    def answer(request: GetCustomerRequest) -> GetCustomerResponse:
        asked.append(request)
        return GetCustomerResponse(customer=Customer(customer_id=request.customer_id))

    assert (await of(answer).GetCustomer(ASK)).customer.customer_id == 7
    assert asked == [ASK]
    assert asked[0] is not ASK


async def test_a_callable_may_be_asynchronous_and_ask_for_the_metadata() -> None:
    """Two parameters: request and metadata."""

    async def answer(_request: Any, metadata: Any) -> GetCustomerResponse:
        return GetCustomerResponse(customer=Customer(customer_id=len(dict(metadata)["x-one"])))

    call = of(answer).GetCustomer(ASK, metadata=(("x-one", "four"),))
    assert (await call).customer.customer_id == 4


async def test_a_mock_is_a_callable_of_one_parameter() -> None:
    """What takes anything is given the request alone."""
    answer = AsyncMock(return_value=SEVEN)
    await of(answer).GetCustomer(ASK)
    answer.assert_awaited_once_with(ASK)


async def test_an_error_of_the_mesh_arrives_with_its_details() -> None:
    """Reason, metadata and the time to wait, as over a network."""
    error = MeshError(MeshReason.OVERLOADED, metadata={"limit": "9"}, retry_after_s=2)
    view = await refusal(of(error).GetCustomer(ASK))
    assert view == ErrorView.from_status(error.to_status())


async def test_a_callable_may_raise_the_error() -> None:
    """Of the mesh, or one that it was itself answered with."""

    def answer(request: GetCustomerRequest) -> GetCustomerResponse:
        if request.customer_id == 7:
            raise MeshError(MeshReason.OUT_OF_SCOPE)
        raise failure(grpc.StatusCode.NOT_FOUND, "CUSTOMER_GONE")

    stub = of(answer)
    assert (await refusal(stub.GetCustomer(ASK))).reason == "OUT_OF_SCOPE"
    other = await refusal(stub.GetCustomer(GetCustomerRequest(customer_id=8)))
    assert (other.code, other.reason) == (grpc.StatusCode.NOT_FOUND, "CUSTOMER_GONE")


async def test_a_failure_needs_no_reason_in_python() -> None:
    """Teams that have the contract alone name the reason."""
    error = failure(
        grpc.StatusCode.NOT_FOUND, "SEQUENCE_NOT_FOUND", "no such sequence", metadata={"name": "x"}
    )
    view = await refusal(of(error).GetCustomer(ASK))
    assert (view.code, view.reason) == (grpc.StatusCode.NOT_FOUND, "SEQUENCE_NOT_FOUND")
    assert (view.message, view.metadata) == ("no such sequence", {"name": "x"})


async def test_a_status_without_details_arrives_as_it_is() -> None:
    """As from a proxy that knows nothing of reasons."""
    empty = grpc.aio.Metadata()
    error = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, empty, empty, details="down")
    view = await refusal(of(error).GetCustomer(ASK))
    assert (view.code, view.message, view.reason) == (grpc.StatusCode.UNAVAILABLE, "down", "")


async def test_a_method_without_an_answer_is_unimplemented_and_says_so() -> None:
    """The error names what to add."""
    view = await refusal(of(SEVEN).ListCustomers(ListCustomersRequest()))
    assert view.code is grpc.StatusCode.UNIMPLEMENTED
    assert "no answer for ListCustomers: add it to the mapping" in view.message


def test_a_name_that_no_method_has_is_refused_with_the_near_one() -> None:
    """A typing error is found before the first call."""
    with pytest.raises(AttributeError, match="CustomerService has no method 'GetCustmer'; did you"):
        fake(CustomerServiceStub, {"GetCustmer": SEVEN})


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            ASK,
            "answers engine.customer.v1.GetCustomerResponse, not engine.customer.v1.GetCustomerR",
        ),
        ("seven", "answers engine.customer.v1.GetCustomerResponse, not str"),
        ([SEVEN], "answers engine.customer.v1.GetCustomerResponse, not list"),
        (GetCustomerResponse, "give an instance of GetCustomerResponse, not the class"),
        (lambda: SEVEN, "a callable takes request, or request and metadata"),
    ],
)
def test_an_answer_of_another_type_is_refused(answer: Any, said: str) -> None:
    """The error says what the contract wants."""
    with pytest.raises(TypeError, match=said):
        of(answer)


async def test_a_callable_that_returns_another_type_fails_the_call() -> None:
    """With what the contract wants, as no status."""
    with pytest.raises(TypeError, match=r"GetCustomer answers engine.*Response, not NoneType"):
        await of(lambda _: None).GetCustomer(ASK)


def test_a_request_of_another_type_is_refused() -> None:
    """gRPC would send it, and the server read nonsense."""
    with pytest.raises(TypeError, match=r"GetCustomer takes engine.+\.GetCustomerRequest"):
        of(SEVEN).GetCustomer(ListCustomersRequest())


async def test_a_failed_assertion_of_a_callable_is_no_status() -> None:
    """A mistake of the test shows itself."""

    def answer(_request: Any) -> GetCustomerResponse:
        raise AssertionError("as meant")

    with pytest.raises(AssertionError, match="as meant"):
        await of(answer).GetCustomer(ASK)


async def test_the_calls_are_told_in_order() -> None:
    """Of the stub, or of one method; refused calls as well."""
    stub = of(SEVEN)
    await stub.GetCustomer(ASK, metadata=(("x-one", "1"),), timeout=2.0)
    await refusal(stub.ListCustomers(ListCustomersRequest(page_size=3)))
    first = Asked(method="GetCustomer", request=ASK, metadata=(("x-one", "1"),), timeout=2.0)
    second = Asked(
        method="ListCustomers",
        request=ListCustomersRequest(page_size=3),
        metadata=(),
        timeout=None,
    )
    assert calls(stub) == [first, second]
    assert calls(stub.GetCustomer) == [first]


def test_calls_are_told_of_fakes_alone() -> None:
    """Who asks about another object learns it."""
    with pytest.raises(TypeError, match=r"was not made by mesh\.testing\.fake"):
        calls(object.__new__(CustomerServiceStub))


def test_a_stub_of_no_contract_is_refused() -> None:
    """Types are those of the contract; without one there is nothing to check."""

    class Stub:
        def __init__(self, channel: Any) -> None:
            self.Say = channel.unary_unary("/no.Such/Say")

    with pytest.raises(TypeError, match=r"/no\.Such/Say is in no contract"):
        fake(Stub, {})
