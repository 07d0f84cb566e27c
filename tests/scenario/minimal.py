"""The smallest request of a method that keeps the rules of its contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import protovalidate
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

_TEXTS = (
    "a",
    "A",
    "7",
    "aa",
    "AAA",
    "core.inflow",
    "2026-11-25",
    "1000000000",
    "13800000000",
    "33010219900101123X",
    "0" * 32,
    "confirmed",
)
"""Texts tried in turn where a rule wants a certain form."""


def _add_event(request: Any) -> None:
    request.events.add()


def _add_result(request: Any) -> None:
    request.results.add()


def _name_group(request: Any) -> None:
    request.group = "nobody.nothing"


def _summarise(request: Any) -> None:
    request.follow_up.summary = "a"


_BY_RULE: Mapping[str, Callable[[Any], None]] = {
    "ingest.something": _add_event,
    "results.something": _add_result,
    "replay.which": _name_group,
    "follow_up.summary.required": _summarise,
}
"""What mends a rule of a whole message."""

_validator = protovalidate.Validator()


def minimal(descriptor: Descriptor) -> Message:
    """A request that keeps all rules, with as little in it as they allow."""
    request: Message = message_factory.GetMessageClass(descriptor)()
    for _ in range(200):
        violations = _validator.collect_violations(request)
        if not violations:
            return request
        _mend(request, violations[0])
    raise AssertionError(f"{descriptor.full_name}: {violations[0].proto}")


def _mend(request: Message, violation: Any) -> None:
    elements = list(violation.proto.field.elements) if violation.proto.field else []
    rule = violation.proto.rule_id
    if rule in _BY_RULE:
        _BY_RULE[rule](request)
        return
    message: Any = request
    for element in elements[:-1]:
        message = getattr(message, element.field_name)
        if element.subscript is not None:
            message = message[element.subscript.value]
    field: FieldDescriptor = message.DESCRIPTOR.fields_by_name[elements[-1].field_name]
    _fill(message, field, rule)


def _fill(message: Any, field: FieldDescriptor, rule: str) -> None:
    value = getattr(message, field.name)
    if field.is_repeated:
        if field.message_type is not None:
            value.add()
        else:
            value.append(_scalar(message, field))
    elif field.message_type is not None:
        value.SetInParent()
        if "duration" in rule or "gt" in rule:
            value.seconds = 1
    else:
        setattr(message, field.name, _scalar(message, field))


def _scalar(message: Any, field: FieldDescriptor) -> Any:
    if field.type == FieldDescriptor.TYPE_STRING:
        return _text(message, field)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return b"a"
    if field.type == FieldDescriptor.TYPE_ENUM:
        return _number(message, field)
    return 1


def _number(message: Any, field: FieldDescriptor) -> int:
    assert field.enum_type is not None
    numbers = [value.number for value in field.enum_type.values if value.number > 0]
    return int(_first_that_fits(message, field, numbers))


def _text(message: Any, field: FieldDescriptor) -> str:
    return str(_first_that_fits(message, field, _TEXTS))


def _first_that_fits(message: Any, field: FieldDescriptor, values: Sequence[Any]) -> Any:
    for value in values:
        tried = type(message)()
        if field.is_repeated:
            getattr(tried, field.name).append(value)
        else:
            setattr(tried, field.name, value)
        found = _validator.collect_violations(tried)
        if not any(_is_about(violation, field.name) for violation in found):
            return value
    raise AssertionError(f"{field.full_name}: nothing that is tried fits")


def _is_about(violation: Any, name: str) -> bool:
    elements = list(violation.proto.field.elements) if violation.proto.field else []
    return len(elements) == 1 and elements[0].field_name == name


def placed(request: Any, path: str, value: int | str) -> Any:
    """The request with `value` in the field at `path`."""
    place, _, name = path.rpartition(".")
    message = reduce(getattr, place.split("."), request) if place else request
    is_text = isinstance(getattr(message, name), str)
    setattr(message, name, str(value) if is_text else int(value))
    return request
