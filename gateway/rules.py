"""HTTP rules (`google.api.http`) of a method, checked against its messages.

A rule that cannot be served is refused when it is loaded, with the reason, and
not when somebody calls.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway import templates
from gateway.codec import NoParameter, Parameter, parameter
from gateway.templates import Template, TemplateError
from mesh.contract import Method

WHOLE: Final = "*"
BODILESS: Final = frozenset({"GET", "HEAD"})


class RuleError(ValueError):
    """An HTTP rule that cannot be served; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One rule of a method.

    Args:
        variables: the fields that the template's variables give, in their order.
        body: field that the body is; "*": the whole request; empty: there is no body.
        response_body: field that is answered; empty: the whole response.
        lax: whether fields, parameters and names of enum values that the contract does
            not know are left out instead of refused.
        source: where the rule stands, for who has to change it.
    """

    method: Method
    http_method: str
    template: Template
    variables: tuple[Parameter, ...]
    body: str
    response_body: str
    lax: bool = False
    source: str = ""

    @property
    def label(self) -> str:
        """Method and path template: the name of the route."""
        return f"{self.http_method} {self.template.text}"

    @property
    def request_resource(self) -> Descriptor | None:
        """The message that the body is; None when it is none."""
        return resource(self.method.input, self.body) if self.body else None

    @property
    def response_resource(self) -> Descriptor | None:
        """The message that is answered; None when it is a list or a plain value."""
        return resource(self.method.output, self.response_body)


def rules(method: Method) -> Iterator[HttpRule]:
    """The rules of a method: the one it states and that one's additional bindings."""
    if method.http is not None:
        yield method.http
        yield from method.http.additional_bindings


def bind(method: Method, rule: HttpRule, *, lax: bool = False, source: str = "") -> Binding:
    """Check a rule.

    Raises:
        RuleError: it breaks the syntax, or names fields that do not exist or cannot
            be bound so.
    """
    http_method, path = _pattern(rule)
    try:
        template = templates.parse(path)
    except TemplateError as error:
        raise RuleError(str(error)) from error
    _check_body(method.input, rule, http_method)
    if rule.response_body and rule.response_body not in method.output.fields_by_name:
        raise RuleError(f"the response body is '{rule.response_body}', which is not a field")
    return Binding(
        method=method,
        http_method=http_method,
        template=template,
        variables=tuple(_variable(method.input, v.field) for v in template.variables),
        body=rule.body,
        response_body=rule.response_body,
        lax=lax,
        source=source or method.path,
    )


def resource(message: Descriptor, name: str) -> Descriptor | None:
    """The message in field `name`, or `message` itself for "*" and ""; None for other fields."""
    if name in {"", WHOLE}:
        return message
    field = message.fields_by_name[name]
    return None if field.is_repeated else field.message_type


def has_text(message: Descriptor, name: str) -> bool:
    """Whether the message has a field `name` that is one string."""
    field = message.fields_by_name.get(name)
    return field is not None and field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated


def _pattern(rule: HttpRule) -> tuple[str, str]:
    kind = rule.WhichOneof("pattern")
    if kind is None:
        raise RuleError("it has no path")
    if kind == "custom":
        name = rule.custom.kind
        if not re.fullmatch("[A-Z]+", name) or name in {"HEAD", "OPTIONS"}:
            raise RuleError(f"it has the method '{name}'")
        return name, rule.custom.path
    return kind.upper(), getattr(rule, kind)


def _check_body(request: Descriptor, rule: HttpRule, http_method: str) -> None:
    if not rule.body:
        return
    if http_method in BODILESS:
        raise RuleError(f"{http_method} takes no body")
    if rule.body != WHOLE and rule.body not in request.fields_by_name:
        raise RuleError(f"the body is '{rule.body}', which is not a field")


def _variable(request: Descriptor, name: str) -> Parameter:
    try:
        found = parameter(request, name)
    except NoParameter:
        raise RuleError(f"the path binds '{name}', which is not a field") from None
    if found.field.is_repeated or found.field.message_type is not None:
        raise RuleError(f"the path binds '{name}', which is not a single value")
    return found
