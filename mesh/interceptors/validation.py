"""Checks the request against the contract's field rules."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

import protovalidate
from google.protobuf import message_factory

from mesh.call import Call, Check, Guard, Handler
from mesh.contract import Method
from mesh.errors import MeshError, MeshReason, Violation
from mesh.interceptors import _bounds

_validator = protovalidate.Validator()


class ValidationInterceptor(Guard):
    """Refuses requests that break `buf.validate` rules, naming each field.

    The rules are read when a method is bound: that takes ten milliseconds, which the first
    caller would wait for.
    """

    def check(self, method: Method) -> Check:
        collect = _validator.collect_violations
        collect(message_factory.GetMessageClass(method.input)())
        keeps_all = _bounds.keeper(method.input)

        def valid(call: Call, request: Any) -> None:  # noqa: ARG001 - of every check
            if violations := collect(request):
                raise _refusal(violations)

        if keeps_all is None:
            return valid

        def quickly_valid(call: Call, request: Any) -> None:
            if not keeps_all(request):
                valid(call, request)

        return quickly_valid

    def bind(self, method: Method, call_next: Handler) -> Handler:
        if not method.client_streaming:
            return super().bind(method, call_next)

        async def valid_stream(call: Call, request: Any) -> Any:
            return await call_next(call, _each_checked(request))

        return valid_stream


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
