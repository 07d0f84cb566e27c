"""Decides whether the caller may call the method at all. Anything unknown is denied."""

from __future__ import annotations

from functools import reduce
from typing import Any

from msgspec.structs import replace

from engine.mesh.v1 import policy_pb2
from mesh import context as wire
from mesh.call import Call, Handler
from mesh.context import RequestContext, Scope
from mesh.contract import Method
from mesh.errors import MeshError, MeshReason
from mesh.tokens import WILDCARD


class PolicyInterceptor:
    """Enforces permission, internal, purpose, claims, and fixes the effective scope.

    Right = what the end user may do ∩ what the calling service may do. A service
    that acts for itself needs the right alone; a client outside the mesh has no
    service, and then the user's right decides.
    """

    def bind(self, method: Method, call_next: Handler) -> Handler:
        policy = method.policy
        if policy.anonymous:
            return call_next

        async def permitted(call: Call, request: Any) -> Any:
            context = call.context
            _check_permission(policy, context)
            if policy.purpose and context.purpose != policy.purpose:
                raise MeshError(
                    MeshReason.PERMISSION_DENIED,
                    f"State the purpose '{policy.purpose}' in the metadata {wire.PURPOSE}",
                )
            for binding in policy.claims:
                _bind_claim(binding, context, request)
            if policy.scope:
                call.context = replace(context, scope=_effective(policy.scope, context))
                wire.enter(call.context)
            return await call_next(call, request)

        return permitted


def _check_permission(policy: policy_pb2.MethodPolicy, context: RequestContext) -> None:
    needed, principal = policy.permission, context.principal
    if principal is None and not context.service:
        raise MeshError(MeshReason.UNAUTHENTICATED)
    if principal is not None and needed not in principal.permissions:
        raise _denied(needed)
    explicit = needed in context.rights
    if policy.internal and not explicit:
        raise _denied(needed)
    on_behalf = principal is not None and WILDCARD in context.rights
    if context.service and not explicit and not on_behalf:
        raise _denied(needed)
    if policy.scope and principal is None:
        raise MeshError(MeshReason.UNAUTHENTICATED, "The method needs a signed-on user")


def _denied(permission: str) -> MeshError:
    return MeshError(
        MeshReason.PERMISSION_DENIED,
        f"The permission '{permission}' is missing",
        metadata={"permission": permission},
    )


def _effective(scope: Scope, context: RequestContext) -> Scope:
    assert context.principal is not None
    return min(scope, context.principal.data_scope)


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
