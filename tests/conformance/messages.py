"""Messages at random: of any type, with fields of every kind."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import strategies as st

MAX_DEPTH: Final = 3
WIDE: Final = 30
"""Fields of a message above which a few are set at a time."""

_SIGNED_32 = st.integers(-(2**31), 2**31 - 1)
_SIGNED_64 = st.integers(-(2**63), 2**63 - 1)
_NANOS = st.integers(0, 999_999_999)
_SCALARS: Final[dict[int, st.SearchStrategy[Any]]] = {
    FieldDescriptor.TYPE_INT32: _SIGNED_32,
    FieldDescriptor.TYPE_SINT32: _SIGNED_32,
    FieldDescriptor.TYPE_SFIXED32: _SIGNED_32,
    FieldDescriptor.TYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.TYPE_FIXED32: st.integers(0, 2**32 - 1),
    FieldDescriptor.TYPE_INT64: _SIGNED_64,
    FieldDescriptor.TYPE_SINT64: _SIGNED_64,
    FieldDescriptor.TYPE_SFIXED64: _SIGNED_64,
    FieldDescriptor.TYPE_UINT64: st.integers(0, 2**64 - 1),
    FieldDescriptor.TYPE_FIXED64: st.integers(0, 2**64 - 1),
    FieldDescriptor.TYPE_DOUBLE: st.floats(allow_nan=False),
    FieldDescriptor.TYPE_FLOAT: st.floats(allow_nan=False, width=32),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_STRING: st.text(max_size=20),
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=20),
}


@cache
def messages(descriptor: Descriptor, depth: int = MAX_DEPTH) -> st.SearchStrategy[Any]:
    """Messages of a type that have a JSON form, with any of their fields."""
    build = message_factory.GetMessageClass(descriptor)
    special = _SPECIAL.get(descriptor.full_name)
    if special is not None:
        return special(descriptor, build)
    fields = [f for f in descriptor.fields if depth or f.message_type is None]
    if len(fields) > WIDE:  # all of them at once would be drawn for ever
        few = st.lists(st.sampled_from(fields), max_size=5, unique_by=lambda field: field.name)
        chosen = few.flatmap(
            lambda some: st.fixed_dictionaries({f.name: _field(f, depth) for f in some})
        )
    else:
        chosen = st.fixed_dictionaries({}, optional={f.name: _field(f, depth) for f in fields})
    return chosen.map(lambda values: build(**values))


def _value(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    if field.message_type is not None:
        return messages(field.message_type, depth - 1)
    if field.enum_type is not None:
        if field.enum_type.full_name == "google.protobuf.NullValue":
            return st.just(0)
        known = st.sampled_from([value.number for value in field.enum_type.values])
        return known | _SIGNED_32
    return _SCALARS[field.type]


def _field(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    if not field.is_repeated:
        return _value(field, depth)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        entry = field.message_type.fields_by_name
        return st.dictionaries(
            _value(entry["key"], depth), _value(entry["value"], depth), max_size=3
        )
    return st.lists(_value(field, depth), max_size=3)


def _timestamp(_: Descriptor, build: Any) -> st.SearchStrategy[Any]:
    seconds = st.integers(-62_135_596_800, 253_402_300_799)
    return st.builds(build, seconds=seconds, nanos=_NANOS)


def _duration(_: Descriptor, build: Any) -> st.SearchStrategy[Any]:
    span = st.builds(build, seconds=st.integers(0, 315_576_000_000), nanos=_NANOS)
    return span | span.map(lambda found: build(seconds=-found.seconds, nanos=-found.nanos))


def _mask(_: Descriptor, build: Any) -> st.SearchStrategy[Any]:
    path = st.from_regex(r"[a-z]{1,5}(_[a-z]{1,5}){0,2}", fullmatch=True)
    return st.builds(build, paths=st.lists(path, max_size=3))


def _of_json(form: st.SearchStrategy[Any]) -> Callable[[Descriptor, Any], st.SearchStrategy[Any]]:
    def made(_: Descriptor, build: Any) -> st.SearchStrategy[Any]:
        return form.map(lambda value: _filled(build(), value))

    return made


def _filled(message: Any, value: Any) -> Any:
    """A Value, Struct or ListValue with this content."""
    name = message.DESCRIPTOR.name
    if name == "Struct":
        message.SetInParent()
        for key, item in value.items():
            _filled(message.fields[key], item)
    elif name == "ListValue":
        for item in value:
            _filled(message.values.add(), item)
    elif isinstance(value, dict):
        message.struct_value.SetInParent()
        _filled(message.struct_value, value)
    elif isinstance(value, list):
        message.list_value.SetInParent()
        _filled(message.list_value, value)
    elif value is None:
        message.null_value = 0
    else:
        kind = {bool: "bool_value", float: "number_value", str: "string_value"}[type(value)]
        setattr(message, kind, value)
    return message


def _any(descriptor: Descriptor, build: Any) -> st.SearchStrategy[Any]:
    """Nothing, or a well-known message of the same pool; none with a map, whose bytes vary."""
    pool = descriptor.file.pool
    found = []
    for name in ("Timestamp", "Duration", "Int64Value", "FieldMask"):
        try:
            found.append(pool.FindMessageTypeByName(f"google.protobuf.{name}"))
        except KeyError:
            continue

    def packed(message: Any) -> Any:
        message_any = build()
        message_any.Pack(message)
        return message_any

    return st.just(build()) | st.one_of([messages(each).map(packed) for each in found])


_LEAF = st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
_JSON = st.recursive(
    _LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
_SPECIAL: Final[dict[str, Callable[[Descriptor, Any], st.SearchStrategy[Any]]]] = {
    "google.protobuf.Timestamp": _timestamp,
    "google.protobuf.Duration": _duration,
    "google.protobuf.FieldMask": _mask,
    "google.protobuf.Value": _of_json(_JSON),
    "google.protobuf.ListValue": _of_json(st.lists(_JSON, max_size=3)),
    "google.protobuf.Struct": _of_json(st.dictionaries(st.text(), _JSON, max_size=3)),
    "google.protobuf.Any": _any,
}
