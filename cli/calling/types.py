"""Types of fields, as one writes them in JSON."""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor

_FIELD: Final[Any] = FieldDescriptor
_PREFIX: Final = "TYPE_"
_SCALARS: Final[dict[int, str]] = {
    getattr(_FIELD, name): name.removeprefix(_PREFIX).lower()
    for name in dir(_FIELD)
    if name.startswith(_PREFIX)
}

WELL_KNOWN: Final = {
    "google.protobuf.Timestamp": "time, as 2026-11-26T09:30:00Z",
    "google.protobuf.Duration": "duration, as 1.5s",
    "google.protobuf.FieldMask": "fields, as summary,nextStep",
    "google.protobuf.Struct": "any object",
    "google.protobuf.Value": "any JSON",
    "google.protobuf.ListValue": "any list",
    "google.protobuf.Any": "a message, with its type in @type",
    **{
        f"google.protobuf.{name}Value": f"{name.lower()} or null"
        for name in ("Bool", "Bytes", "Double", "Float", "Int32", "Int64", "String")
    },
    "google.protobuf.UInt32Value": "uint32 or null",
    "google.protobuf.UInt64Value": "uint64 or null",
}
"""Messages that are no object in JSON, or any object, and how they are written."""


def is_map(field: FieldDescriptor) -> bool:
    """Whether it is a map: a list of entries to protobuf, an object in JSON."""
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def entry_of(field: FieldDescriptor) -> tuple[FieldDescriptor, FieldDescriptor]:
    """Key and value of a map."""
    assert field.message_type is not None
    fields = field.message_type.fields_by_name
    return fields["key"], fields["value"]


def name_of(field: FieldDescriptor) -> str:
    """The type of one value in short: "int64", "Customer"; of a map "{string: int64}"."""
    if is_map(field):
        key, value = entry_of(field)
        return f"{{{name_of(key)}: {name_of(value)}}}"
    if field.message_type is not None:
        return str(field.message_type.name)
    if field.enum_type is not None:
        return str(field.enum_type.name)
    return _SCALARS[field.type]


def text_of(field: FieldDescriptor) -> str:
    """How one value that is neither enum nor object is written."""
    if field.message_type is not None:
        return WELL_KNOWN[field.message_type.full_name]
    name = _SCALARS[field.type]
    return "bytes, in base64" if name == "bytes" else name
