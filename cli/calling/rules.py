"""The rules of fields and messages (`buf.validate`), in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from buf.validate import validate_pb2
from google.api import field_behavior_pb2
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message

from engine.mesh.v1 import policy_pb2
from mesh import contract

_WORDS: Final = {
    "gt": "> {}",
    "gte": ">= {}",
    "lt": "< {}",
    "lte": "<= {}",
    "const": "always {}",
    "in": "one of {}",
    "not_in": "none of {}",
    "len": "exactly {} characters",
    "min_len": "{} or more characters",
    "max_len": "at most {} characters",
    "min_bytes": "{} or more bytes",
    "max_bytes": "at most {} bytes",
    "min_items": "{} or more entries",
    "max_items": "at most {} entries",
    "min_pairs": "{} or more entries",
    "max_pairs": "at most {} entries",
    "pattern": "matches {}",
    "prefix": "begins with {}",
    "suffix": "ends with {}",
    "contains": "contains {}",
    "not_contains": "without {}",
    "unique": "each once",
    "within": "within {} of now",
    "lt_now": "in the past",
    "gt_now": "in the future",
    "example": "",
    "items": "",
    "keys": "",
    "values": "",
}
"""By name of the rule; those of entries are told where the entries are. Others by their name."""

_ORDER: Final = [*_WORDS]


def of_field(field: FieldDescriptor) -> validate_pb2.FieldRules:
    """The rules of a field; empty when there are none."""
    rules: validate_pb2.FieldRules = _options(field).Extensions[validate_pb2.field]
    return rules


def words(rules: validate_pb2.FieldRules) -> Iterator[str]:
    """Rules of one value, each in some words: "> 0", "at most 50 characters"."""
    if rules.required:
        yield "required"
    kind = rules.WhichOneof("type")
    if kind not in (None, "enum"):
        found = {rule.name: value for rule, value in getattr(rules, kind).ListFields()}
        yield from filter(None, (_said(name, found[name]) for name in sorted(found, key=_place)))
    yield from (rule.message or rule.expression for rule in rules.cel)


def choices(field: FieldDescriptor, rules: validate_pb2.FieldRules) -> Iterator[str]:
    """The names of an enum that the rules allow; never the one for "not stated"."""
    assert field.enum_type is not None
    only, without = getattr(rules.enum, "in"), {0, *rules.enum.not_in}
    for value in field.enum_type.values:
        if value.number not in without and (not only or value.number in only):
            yield value.name


def of_message(message: Descriptor) -> Iterator[str]:
    """The rules over several fields of a message, as they are told to whom breaks them."""
    raw = message.GetOptions().SerializeToString()
    options = descriptor_pb2.MessageOptions.FromString(raw)
    for rule in options.Extensions[validate_pb2.message].cel:
        yield rule.message or rule.expression


def notes(field: FieldDescriptor) -> Iterator[str]:
    """What else is to be known of a field: its sensitivity, and with what it shares a place."""
    kind = contract.sensitivity(field)
    if kind:
        name = policy_pb2.Sensitivity.Name(kind).removeprefix("SENSITIVITY_")
        yield f"personal: {name}" if kind != policy_pb2.SENSITIVITY_SECRET else "secret"
    oneof = field.containing_oneof
    if oneof is not None and len(oneof.fields) > 1:
        others = (f.json_name for f in oneof.fields if f.name != field.name)
        yield f"or else {', '.join(others)}"


def is_output_only(field: FieldDescriptor) -> bool:
    """Whether servers fill it and ignore it in requests (AIP-203)."""
    behaviors = _options(field).Extensions[field_behavior_pb2.field_behavior]
    return field_behavior_pb2.OUTPUT_ONLY in behaviors


def _options(field: FieldDescriptor) -> Any:
    """Parsed anew: the options of another pool know nothing of our extensions."""
    return descriptor_pb2.FieldOptions.FromString(field.GetOptions().SerializeToString())


def _place(name: str) -> int:
    """Lower bounds before upper ones; what has no words of its own at the end."""
    return _ORDER.index(name) if name in _WORDS else len(_ORDER)


def _said(name: str, value: Any) -> str:
    if value is False:
        return ""
    template = _WORDS.get(name)
    if template is None:
        template = name.replace("_", " ") if value is True else f"{name.replace('_', ' ')} {{}}"
    return template.format(_shown(value))


def _shown(value: Any) -> str:
    if isinstance(value, Message):  # a Duration or Timestamp
        return MessageToJson(value, indent=None).strip('"')
    if isinstance(value, (str, bytes, int, float)):
        return str(value)
    return ", ".join(map(_shown, value))
