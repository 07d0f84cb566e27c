"""Checks the request against the contract's field rules, then that its row is in reach."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from operator import attrgetter
from typing import Any

import protovalidate
from google.protobuf import message_factory

from mesh.call import Call, Handler
from mesh.contract import ContractError, Method
from mesh.errors import MeshError, MeshReason, Violation
from mesh.service import ScopeResolver

_validator = protovalidate.Validator()


class ValidationInterceptor:
    """Refuses requests that break `buf.validate` rules, naming each field.

    Where the policy names a `scope_field`, a row outside the effective scope
    answers OUT_OF_SCOPE, exactly as a row that does not exist. The rules are read when a
    method is bound: that takes ten milliseconds, which the first caller would wait for.
    """

    def __init__(self, scope_resolver: ScopeResolver | Mapping[str, ScopeResolver] | None) -> None:
        self._in_scope = scope_resolver

    def bind(self, method: Method, call_next: Handler) -> Handler:
        checked = self._with_scope(method, call_next)
        collect = _validator.collect_violations
        collect(message_factory.GetMessageClass(method.input)())

        async def valid(call: Call, request: Any) -> Any:
            if violations := collect(request):
                raise _refusal(violations)
            return await checked(call, request)

        async def valid_stream(call: Call, request: Any) -> Any:
            return await checked(call, _each_checked(request))

        return valid_stream if method.client_streaming else valid

    def _with_scope(self, method: Method, call_next: Handler) -> Handler:
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


def check(message: Any) -> None:
    """Raise INVALID_ARGUMENT with all violations when `message` breaks a rule."""
    if violations := _validator.collect_violations(message):
        raise _refusal(violations)


def _refusal(violations: Iterable[protovalidate.Violation]) -> MeshError:
    listed = [Violation(_path(v.proto.field), v.proto.message) for v in violations]
    first = listed[0]
    return MeshError(
        MeshReason.INVALID_ARGUMENT,
        f"{first.field}: {first.description}" if first.field else first.description,
        violations=listed,
    )


async def _each_checked(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        check(request)
        yield request


def _path(field: Any) -> str:
    return ".".join(_elements(field.elements if field else ()))


def _elements(elements: Iterable[Any]) -> Iterable[str]:
    for element in elements:
        index = element.subscript
        yield element.field_name if index is None else f"{element.field_name}[{_value(index)}]"


def _value(subscript: Any) -> str:
    return str(getattr(subscript, "value", subscript))
