"""Messages as OpenAPI schemas, as their JSON looks."""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from engine.mesh.v1 import policy_pb2
from gateway.fields import output_only, required
from mesh.contract import sensitivity

Schema = dict[str, Any]

_SCALARS: Final[dict[int, Schema]] = {
    FieldDescriptor.TYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.TYPE_SINT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.TYPE_SFIXED32: {"type": "integer", "format": "int32"},
    FieldDescriptor.TYPE_UINT32: {"type": "integer", "format": "int64", "minimum": 0},
    FieldDescriptor.TYPE_FIXED32: {"type": "integer", "format": "int64", "minimum": 0},
    FieldDescriptor.TYPE_INT64: {"type": "string", "format": "int64"},
    FieldDescriptor.TYPE_SINT64: {"type": "string", "format": "int64"},
    FieldDescriptor.TYPE_SFIXED64: {"type": "string", "format": "int64"},
    FieldDescriptor.TYPE_UINT64: {"type": "string", "format": "uint64"},
    FieldDescriptor.TYPE_FIXED64: {"type": "string", "format": "uint64"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_FLOAT: {"type": "number", "format": "float"},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "format": "byte"},
}

_WELL_KNOWN: Final[dict[str, Schema]] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "example": "1.5s"},
    "google.protobuf.FieldMask": {"type": "string", "example": "name,nextTime"},
    "google.protobuf.Struct": {"type": "object", "additionalProperties": True},
    "google.protobuf.ListValue": {"type": "array", "items": {}},
    "google.protobuf.Value": {},
    "google.protobuf.Any": {
        "type": "object",
        "properties": {"@type": {"type": "string"}},
        "additionalProperties": True,
    },
}


class Schemas:
    """Schemas of messages and enums; those with a name are collected in `components`."""

    def __init__(self) -> None:
        self.components: dict[str, Schema] = {}

    def message(self, descriptor: Descriptor) -> Schema:
        """The schema of a message: a reference, or in place for well-known types."""
        if descriptor.full_name in _WELL_KNOWN:
            return _WELL_KNOWN[descriptor.full_name]
        if descriptor.file.name == "google/protobuf/wrappers.proto":
            return {**self.field(descriptor.fields_by_name["value"]), "nullable": True}
        if descriptor.full_name not in self.components:
            schema: Schema = {"type": "object"}
            # Registered before its fields are looked at: a message may contain itself.
            self.components[descriptor.full_name] = schema
            schema["properties"] = {f.json_name: self._property(f) for f in descriptor.fields}
            needed = [f.json_name for f in descriptor.fields if required(f)]
            if needed:
                schema["required"] = needed
        return _reference(descriptor.full_name)

    def field(self, field: FieldDescriptor) -> Schema:
        """The schema of a field's whole value."""
        if not field.is_repeated:
            return self.single(field)
        message = field.message_type
        if message is not None and message.GetOptions().map_entry:
            value = self.single(message.fields_by_name["value"])
            return {"type": "object", "additionalProperties": value}
        return {"type": "array", "items": self.single(field)}

    def single(self, field: FieldDescriptor) -> Schema:
        """The schema of one value of a field."""
        if field.message_type is not None:
            return self.message(field.message_type)
        if field.enum_type is not None:
            return self._enum(field.enum_type)
        if sensitivity(field) == policy_pb2.SENSITIVITY_SECRET:
            return {**_SCALARS[field.type], "format": "password"}
        return _SCALARS[field.type]

    def _property(self, field: FieldDescriptor) -> Schema:
        schema = self.field(field)
        if not output_only(field):
            return schema
        if "$ref" in schema:  # what stands beside a reference is ignored
            schema = {"allOf": [schema]}
        return {**schema, "readOnly": True}

    def _enum(self, enum: EnumDescriptor) -> Schema:
        if enum.full_name == "google.protobuf.NullValue":
            return {"nullable": True}
        names = [value.name for value in enum.values]
        self.components[enum.full_name] = {"type": "string", "enum": names}
        return _reference(enum.full_name)


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
