"""Who calls: tokens, calling services, and what of a call is believed."""

from __future__ import annotations

import grpc
import pytest
from msgspec import structs

from engine.mesh.v1 import context_pb2, trust_pb2, trust_pb2_grpc
from mesh import context as wire
from mesh.testing import Mesh
from tests.integration.chain.toy import OWN, Toy, customers, get, refusal, rm_token


async def test_a_handler_learns_who_asks_for_whom_and_until_when(mesh: Mesh, toy: Toy) -> None:
    """User, calling service, scope and deadline reach the handler."""
    token = rm_token(mesh)
    answer = await customers(mesh, token, caller="gateway").GetCustomer(get(1), timeout=1.5)
    assert answer.customer.customer_id == 1
    (seen,) = toy.seen
    assert (seen.user, seen.service, seen.actor, seen.scope) == ("rm001", "gateway", "rm001", OWN)
    assert seen.deadline is not None
    assert 0 < seen.deadline.remaining_s() < 1.7
    assert seen.token == token


async def test_nobody_is_refused_without_a_token(mesh: Mesh, toy: Toy) -> None:
    """No proof, no call."""
    error = await refusal(customers(mesh).GetCustomer(get(1)))
    assert (error.code, error.reason) == (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
    assert not toy.seen


async def test_an_expired_and_a_broken_token_are_told_apart(mesh: Mesh, toy: Toy) -> None:
    """The caller learns whether to refresh or to sign on again."""
    expired = rm_token(mesh, ttl_s=-10)
    assert (await refusal(customers(mesh, expired).GetCustomer(get(1)))).reason == "TOKEN_EXPIRED"
    assert (await refusal(customers(mesh, "x.y.z").GetCustomer(get(1)))).reason == "TOKEN_INVALID"


async def test_a_header_that_is_no_bearer_token_is_refused(mesh: Mesh, toy: Toy) -> None:
    """Basic credentials are not accepted, and not ignored either."""
    call = customers(mesh).GetCustomer(get(1), metadata=(("authorization", "Basic eDp5"),))
    assert (await refusal(call)).reason == "TOKEN_INVALID"


async def test_an_anonymous_method_needs_no_token_and_minds_no_bad_one(
    mesh: Mesh, toy: Toy
) -> None:
    """Keys can be fetched by anybody, also with an expired token at hand."""
    for token in ("", mesh.token("rm001", ttl_s=-10)):
        stub = trust_pb2_grpc.TrustServiceStub(mesh.channel("toy", token=token))
        await stub.GetKeySet(trust_pb2.GetKeySetRequest())


@pytest.mark.parametrize(("caller", "believed"), [("gateway", 7), ("", 0)])
async def test_the_chain_of_a_call_is_believed_of_services_alone(
    mesh: Mesh, toy: Toy, caller: str, believed: int
) -> None:
    """A client outside the mesh cannot put his call into somebody's chain."""
    claimed = structs.replace(wire.EMPTY, chain=context_pb2.ChainIds(task_id=7))
    with wire.using(claimed):
        await customers(mesh, rm_token(mesh), caller).GetCustomer(get(1))
    assert toy.seen[-1].chain.task_id == believed
