"""Refuses rows that the caller may not reach."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from mesh.call import Call, Handler
from mesh.contract import ContractError, Method
from mesh.errors import MeshError, MeshReason
from mesh.service import ScopeResolver


class ScopeInterceptor:
    """Enforces `scope_field`: the row that it names must lie within the effective scope.

    One outside answers OUT_OF_SCOPE, exactly as a row that does not exist.
    """

    def __init__(self, scope_resolver: ScopeResolver | Mapping[str, ScopeResolver] | None) -> None:
        self._in_scope = scope_resolver

    def bind(self, method: Method, call_next: Handler) -> Handler:
        policy, in_scope = method.policy, self._in_scope
        if not policy.scope_field:
            return call_next
        if isinstance(in_scope, Mapping):
            in_scope = in_scope.get(policy.scope_field)
        if in_scope is None:
            raise ContractError(
                f"{method.path} has the scope_field {policy.scope_field}: "
                "give the Service a scope_resolver for it"
            )
        row_of = attrgetter(policy.scope_field)

        async def in_reach(call: Call, request: Any) -> Any:
            principal = call.context.principal
            if principal is None or not await in_scope(
                principal, call.context.scope, row_of(request)
            ):
                raise MeshError(MeshReason.OUT_OF_SCOPE)
            return await call_next(call, request)

        return in_reach
