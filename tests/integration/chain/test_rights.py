"""Who may call what, for which purpose, and which rows are within reach."""

from __future__ import annotations

import grpc

from engine.ark.v1 import ark_pb2, ark_pb2_grpc
from engine.customer.v1 import customer_pb2
from engine.mesh.v1 import policy_pb2
from mesh.testing import Mesh
from tests.integration.chain.toy import OWN, Toy, customers, get, refusal, rm_token


async def test_a_missing_permission_is_named(mesh: Mesh, toy: Toy) -> None:
    """403, and which right to ask for."""
    token = mesh.token("hq", permissions={"ums.read"}, data_scope=policy_pb2.SCOPE_ALL)
    error = await refusal(customers(mesh, token).GetCustomer(get(1)))
    assert error.code is grpc.StatusCode.PERMISSION_DENIED
    assert error.metadata == {"permission": "customer.read"}


async def test_a_service_without_the_right_is_refused_even_for_a_user_who_has_it(
    mesh: Mesh, toy: Toy
) -> None:
    """Right = application's right ∩ user's right."""
    token = rm_token(mesh)
    call = customers(mesh, token, caller="customer").GetCustomer(get(1))
    assert (await refusal(call)).code is grpc.StatusCode.PERMISSION_DENIED


async def test_the_gateway_alone_has_no_right(mesh: Mesh, toy: Toy) -> None:
    """Its wildcard counts on behalf of users only."""
    call = customers(mesh, caller="gateway").ListCustomers(customer_pb2.ListCustomersRequest())
    assert (await refusal(call)).code is grpc.StatusCode.PERMISSION_DENIED


async def test_an_internal_method_is_closed_to_users_and_to_the_gateway(
    mesh: Mesh, toy: Toy
) -> None:
    """Only a service that holds the right by name may call it."""
    token = mesh.token("rm001", permissions={"ark.query"})
    request = ark_pb2.QueryRequest(customer_ids=[1], fields=[ark_pb2.ARK_FIELD_NAME])
    for caller in ("", "gateway"):
        channel = mesh.channel("toy", token=token, caller=caller, purpose="service")
        error = await refusal(ark_pb2_grpc.ArkServiceStub(channel).Query(request))
        assert error.code is grpc.StatusCode.PERMISSION_DENIED
    channel = mesh.channel("toy", token=token, caller="customer", purpose="service")
    await ark_pb2_grpc.ArkServiceStub(channel).Query(request)
    assert toy.seen[-1].purpose == "service"


async def test_a_purpose_must_be_stated_where_the_contract_asks_for_it(
    mesh: Mesh, toy: Toy
) -> None:
    """Another purpose than the contract's is refused, and the message names it."""
    request = ark_pb2.QueryRequest(customer_ids=[1], fields=[ark_pb2.ARK_FIELD_NAME])
    for purpose in ("", "curiosity"):
        channel = mesh.channel("toy", caller="customer", purpose=purpose)
        error = await refusal(ark_pb2_grpc.ArkServiceStub(channel).Query(request))
        assert "purpose 'service'" in error.message


async def test_a_row_out_of_reach_looks_like_none(mesh: Mesh, toy: Toy) -> None:
    """Not found, the same answer as for a row that does not exist."""
    token = rm_token(mesh)
    error = await refusal(customers(mesh, token).GetCustomer(get(100)))
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "OUT_OF_SCOPE")


async def test_the_narrower_scope_holds(mesh: Mesh, toy: Toy) -> None:
    """A caller who may see all gets what the method allows; one who may see little gets that."""
    for data_scope, effective in (
        (policy_pb2.SCOPE_ALL, policy_pb2.SCOPE_BRANCH),
        (OWN, OWN),
        (policy_pb2.SCOPE_UNSPECIFIED, policy_pb2.SCOPE_UNSPECIFIED),
    ):
        token = mesh.token("x", permissions={"customer.read"}, data_scope=data_scope)
        await customers(mesh, token).ListCustomers(customer_pb2.ListCustomersRequest())
        assert toy.seen[-1].scope == effective
