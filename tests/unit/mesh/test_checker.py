"""Nobody puts in force what he wrote himself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engine.customer.v1 import customer_pb2
from engine.mesh.v1 import policy_pb2
from mesh import contract
from mesh.call import Call
from mesh.context import Principal, RequestContext
from mesh.contract import ContractError, Method
from mesh.deadline import Deadline
from mesh.errors import MeshError, MeshReason
from mesh.interceptors.checker import CheckerInterceptor

UPDATE = customer_pb2.DESCRIPTOR.services_by_name["CustomerService"].methods_by_name[
    "UpdateFollowUp"
]
MAKER = Principal(subject="maker", permissions=frozenset())
CHECKER = Principal(subject="checker", permissions=frozenset())
AUTHORS = {7: "maker"}


def method(**policy: Any) -> Method:
    stated = {"permission": "x", "maker_checker": True, "object_field": "follow_up.follow_up_id"}
    return replace(contract.method(UPDATE), policy=policy_pb2.MethodPolicy(**{**stated, **policy}))


async def author_of(method: Method, row: int) -> str | None:
    assert method.name == "UpdateFollowUp"
    return AUTHORS.get(row)


async def serve(call: Call, request: Any) -> Any:
    return request


async def answered(context: RequestContext, follow_up_id: int = 7) -> Any:
    """What the handler answers, or the refusal."""
    transport: Any = None
    bound = method()
    call = Call(
        method=bound,
        transport=transport,
        metadata={},
        deadline=Deadline.after(5),
        context=context,
    )
    request = customer_pb2.UpdateFollowUpRequest(
        follow_up=customer_pb2.FollowUp(follow_up_id=follow_up_id)
    )
    assert await CheckerInterceptor(author_of).bind(bound, serve)(call, request) is request


@pytest.mark.parametrize(
    "context",
    [
        RequestContext(principal=MAKER),
        RequestContext(principal=MAKER, service="action"),
        RequestContext(service="scheduler", on_behalf_of="maker"),
        RequestContext(principal=CHECKER, service="action", on_behalf_of="maker"),
    ],
    ids=["himself", "through a service", "by a service's own work", "by a deputy"],
)
async def test_the_maker_is_refused_by_whatever_way_he_comes(context: RequestContext) -> None:
    """The row is asked for by the policy's object_field."""
    with pytest.raises(MeshError) as refused:
        await answered(context)
    assert refused.value.reason is MeshReason.CHECKER_IS_MAKER


@pytest.mark.parametrize(
    "context",
    [
        RequestContext(principal=CHECKER),
        RequestContext(principal=CHECKER, service="action"),
        RequestContext(service="scheduler"),
    ],
)
async def test_somebody_else_checks(context: RequestContext) -> None:
    """Another user, through a service or not, and a service for itself."""
    await answered(context)


async def test_an_unknown_row_is_left_to_the_handler() -> None:
    """It knows how to say that there is none."""
    await answered(RequestContext(principal=MAKER), follow_up_id=8)


@pytest.mark.parametrize(
    ("policy", "resolver", "told"),
    [
        ({}, None, "author_resolver"),
        ({"object_field": ""}, author_of, "object_field"),
        ({"object_field": "nothing"}, author_of, "nothing"),
        ({"anonymous": True}, author_of, "anybody"),
    ],
)
def test_a_promise_that_cannot_be_kept_stops_the_start(
    policy: dict[str, Any], resolver: Any, told: str
) -> None:
    """And the message says what is missing."""
    with pytest.raises(ContractError, match=told):
        CheckerInterceptor(resolver).bind(method(**policy), serve)


def test_the_scope_field_names_the_object_by_default() -> None:
    """A method that is about one row need not say so twice."""
    scoped = method(object_field="", scope_field="customer_id")
    assert scoped.object_field == "customer_id"
    assert CheckerInterceptor(author_of).bind(scoped, serve) is not serve


def test_a_method_without_the_option_pays_nothing() -> None:
    """The step leaves itself out."""
    assert CheckerInterceptor(None).bind(method(maker_checker=False), serve) is serve
