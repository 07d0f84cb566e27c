"""Decides whether the caller may call the method at all. Anything unknown is denied."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

from engine.mesh.v1 import policy_pb2
from mesh import context as wire
from mesh.call import Call, Check, Guard
from mesh.context import RequestContext
from mesh.contract import Method
from mesh.errors import MeshError, MeshReason
from mesh.tokens import WILDCARD


class PolicyInterceptor(Guard):
    """Enforces permission, internal, purpose and claims.

    Right = what the end user may do ∩ what the calling service may do. A service
    that acts for itself needs the right alone; a client outside the mesh has no
    service, and then the user's right decides. The policy is read when a method is
    bound: each field of a message costs a call as much as a step of the decision.
    """

    def check(self, method: Method) -> Check | None:
        policy = method.policy
        if policy.anonymous:
            return None
        may_call, bindings = _check_of(policy), tuple(policy.claims)

        def permitted(call: Call, request: Any) -> None:
            may_call(call.context)
            for binding in bindings:
                _bind_claim(binding, call.context, request)

        return permitted


def _check_of(policy: policy_pb2.MethodPolicy) -> Callable[[RequestContext], None]:
    needed, purpose = policy.permission, policy.purpose
    is_internal, needs_user = policy.internal, bool(policy.scope)

    def check(context: RequestContext) -> None:
        principal, rights = context.principal, context.rights
        if principal is None and not context.service:
            raise MeshError(MeshReason.UNAUTHENTICATED)
        if principal is not None and needed not in principal.permissions:
            raise _denied(needed)
        if needed not in rights:
            on_behalf = principal is not None and WILDCARD in rights
            if is_internal or (context.service and not on_behalf):
                raise _denied(needed)
        if needs_user and principal is None:
            raise MeshError(MeshReason.UNAUTHENTICATED, "The method needs a signed-on user")
        if purpose and context.purpose != purpose:
            raise MeshError(
                MeshReason.PERMISSION_DENIED,
                f"State the purpose '{purpose}' in the metadata {wire.PURPOSE}",
            )

    return check


def _denied(permission: str) -> MeshError:
    return MeshError(
        MeshReason.PERMISSION_DENIED,
        f"The permission '{permission}' is missing",
        metadata={"permission": permission},
    )


def _bind_claim(binding: policy_pb2.ClaimBinding, context: RequestContext, request: Any) -> None:
    """Fill the field with the caller's claim, or refuse a request that says otherwise."""
    claim = context.principal.claim(binding.claim) if context.principal else ""
    *parents, name = binding.field.split(".")
    message = reduce(getattr, parents, request)
    present = getattr(message, name)
    if claim and not present:
        setattr(message, name, type(present)(claim))
    elif not claim or str(present) != claim:
        raise MeshError(
            MeshReason.PERMISSION_DENIED,
            f"{binding.field} must be the caller's own {binding.claim}",
        )
