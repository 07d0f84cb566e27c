"""What a request must be, and what becomes of one that is sent again."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from engine.customer.v1 import customer_pb2
from mesh import context as wire
from mesh.testing import Mesh
from tests.integration.chain.toy import Toy, customers, refusal, rm_token


async def test_broken_rules_are_listed_field_by_field(mesh: Mesh, toy: Toy) -> None:
    """All violations at once, with paths; after the rights, before the row."""
    token = rm_token(mesh)
    request = customer_pb2.CreateFollowUpRequest(
        customer_id=-1, follow_up=customer_pb2.FollowUp(next_step="x" * 501)
    )
    error = await refusal(customers(mesh, token).CreateFollowUp(request))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert {v.field for v in error.violations} == {"", "customer_id", "follow_up.next_step"}


async def test_bytes_that_are_no_message_are_refused(mesh: Mesh, toy: Toy) -> None:
    """A malformed request is the caller's error, not ours."""
    channel = mesh.channel("toy", token=rm_token(mesh))
    call = channel.unary_unary("/engine.customer.v1.CustomerService/GetCustomer")
    assert (await refusal(call(b"\xff\xff"))).reason == "MALFORMED_REQUEST"


async def test_a_business_date_that_is_none_is_refused(mesh: Mesh, toy: Toy) -> None:
    """It would go into events, and the bus takes none that holds one: all later ones would wait."""
    stub = customers(mesh, rm_token(mesh))
    request = customer_pb2.GetCustomerRequest(customer_id=7)
    for wrong in ("2026-11-231", "20261123", "2026-13-01", "today"):
        call = stub.GetCustomer(request, metadata=((wire.BUSINESS_DATE, wrong),))
        assert (await refusal(call)).reason == "MALFORMED_REQUEST"
    await stub.GetCustomer(request, metadata=((wire.BUSINESS_DATE, "2026-11-23"),))
    assert toy.seen[-1].business_date == "2026-11-23"


async def test_a_purpose_is_a_code(mesh: Mesh, toy: Toy) -> None:
    """It stands in the records of calls, for years: no number or name of a customer may."""
    stub = customers(mesh, rm_token(mesh))
    request = customer_pb2.GetCustomerRequest(customer_id=7)
    for wrong in ("call 13800001111", "13800001111", "Wang Xiaoming", "x" * 65):
        call = stub.GetCustomer(request, metadata=((wire.PURPOSE, wrong),))
        assert (await refusal(call)).reason == "MALFORMED_REQUEST"


async def test_an_unknown_method_is_unimplemented(mesh: Mesh, toy: Toy) -> None:
    """A client with a newer contract learns it at once."""
    channel = mesh.channel("toy")
    call = channel.unary_unary("/engine.customer.v1.CustomerService/Nothing")
    assert (await refusal(call(b""))).code is grpc.StatusCode.UNIMPLEMENTED


async def test_a_repeated_request_id_has_one_effect_and_one_answer(mesh: Mesh, toy: Toy) -> None:
    """Same id and body: same answer. Same id, other body: refused. No id: no deduplication."""
    stub = customers(mesh, rm_token(mesh))

    def create(text: str, request_id: str) -> Any:
        return stub.CreateFollowUp(
            customer_pb2.CreateFollowUpRequest(
                customer_id=1,
                follow_up=customer_pb2.FollowUp(summary=text),
                request_id=request_id,
            )
        )

    answers = await asyncio.gather(*(create("a", "one") for _ in range(10)))
    assert {answer.follow_up.follow_up_id for answer in answers} == {1}
    error = await refusal(create("b", "one"))
    assert (error.code, error.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    assert (await create("a", "two")).follow_up.follow_up_id == 2
    assert (await create("a", "")).follow_up.follow_up_id == 3
    assert (await create("a", "")).follow_up.follow_up_id == 4


async def test_request_ids_of_two_users_do_not_meet(mesh: Mesh, toy: Toy) -> None:
    """One user's key neither blocks nor reveals another's answer."""
    for user, expected in (("rm001", 1), ("rm002", 2)):
        stub = customers(mesh, rm_token(mesh, user))
        answer = await stub.CreateFollowUp(
            customer_pb2.CreateFollowUpRequest(
                customer_id=1, follow_up=customer_pb2.FollowUp(summary="a"), request_id="same"
            )
        )
        assert answer.follow_up.follow_up_id == expected
