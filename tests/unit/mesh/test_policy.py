"""Claims of the caller that fill or must equal fields of the request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engine.customer.v1 import customer_pb2
from engine.mesh.v1 import policy_pb2
from mesh import contract
from mesh.call import Call
from mesh.context import Principal, RequestContext
from mesh.deadline import Deadline
from mesh.errors import MeshError
from mesh.interceptors.policy import PolicyInterceptor

CREATE = customer_pb2.DESCRIPTOR.services_by_name["CustomerService"].methods_by_name[
    "CreateFollowUp"
]
RM = Principal(subject="rm001", permissions=frozenset({"x"}), staff_id=7)


async def bound(request: Any, field: str, claim: str, principal: Principal = RM) -> Any:
    """The request as the handler would get it."""
    policy = policy_pb2.MethodPolicy(permission="x")
    policy.claims.add(claim=claim, field=field)
    method = replace(contract.method(CREATE), policy=policy)
    transport: Any = None
    call = Call(
        method=method,
        transport=transport,
        metadata={},
        deadline=Deadline.after(5),
        context=RequestContext(principal=principal),
    )

    async def handler(call: Call, request: Any) -> Any:
        return request

    return await PolicyInterceptor().bind(method, handler)(call, request)


async def test_an_empty_field_is_filled_with_the_claim() -> None:
    """Also within a message, and as the field's own type."""
    request = customer_pb2.CreateFollowUpRequest()
    assert (await bound(request, "customer_id", "staff_id")).customer_id == 7
    assert (await bound(request, "follow_up.author", "sub")).follow_up.author == "rm001"


async def test_a_field_that_equals_the_claim_passes() -> None:
    """Saying who one is does no harm."""
    request = customer_pb2.CreateFollowUpRequest(customer_id=7)
    assert await bound(request, "customer_id", "staff_id") == request


@pytest.mark.parametrize(("staff_id", "asked"), [(7, 8), (0, 8), (0, 0)])
async def test_a_field_that_differs_and_a_claim_that_is_missing_are_refused(
    staff_id: int, asked: int
) -> None:
    """Nobody acts in another's name, and nobody without the claim at all."""
    request = customer_pb2.CreateFollowUpRequest(customer_id=asked)
    with pytest.raises(MeshError, match="caller's own staff_id"):
        await bound(request, "customer_id", "staff_id", replace(RM, staff_id=staff_id))
