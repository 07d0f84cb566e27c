"""JSON values to messages: one closure for each message type, made when first needed.

A closure turns a JSON object into keyword arguments of the message's class;
one call of the constructor then builds the whole tree in C.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

from gateway.codec._scalars import NULL_VALUE, Read, Refused, map_key, scalar
from gateway.codec._wellknown import reader
from gateway.errors import GatewayReason

__all__ = ["Read", "Reading", "Refused"]

_VALUE = "google.protobuf.Value"


class Reading:
    """The readers of one descriptor pool."""

    def __init__(self, pool: DescriptorPool) -> None:
        self._pool = pool
        self._messages: dict[str, Read] = {}

    def message(self, descriptor: Descriptor) -> Read:
        """The reader of a message: JSON value → keyword arguments, or a message."""
        found = self._messages.get(descriptor.full_name)
        if found is None:
            found = reader(descriptor, self._pool)
            if found is None:
                return self._plain(descriptor)
            self._messages[descriptor.full_name] = found
        return found

    def field(self, field: FieldDescriptor) -> Read:
        """The reader of a field's whole value: a list, a map or one value."""
        if _is_map(field):
            return self._map(field)
        return self._list(field) if field.is_repeated else self._single(field)

    def _plain(self, descriptor: Descriptor) -> Read:
        table: dict[str, tuple[str, Read, bool, str]] = {}

        def read(value: Any) -> dict[str, Any]:
            if type(value) is not dict:
                raise Refused("must be an object")
            found: dict[str, Any] = {}
            chosen: set[str] = set()
            for key, item in value.items():
                entry = table.get(key)
                if entry is None:
                    reason = GatewayReason.UNKNOWN_FIELD
                    raise Refused("is not a field", reason=reason, field=key)
                name, convert, takes_null, oneof = entry
                if name in found:
                    raise _twice("is given by both of its names", key)
                if item is None and not takes_null:
                    found[name] = None  # absent, as null means
                    continue
                if oneof:
                    if oneof in chosen:
                        raise _twice(f"excludes another member of '{oneof}'", key)
                    chosen.add(oneof)
                try:
                    found[name] = convert(item)
                except Refused as refused:
                    refused.path.append(key)
                    raise
            return found

        # Registered before its fields are looked at: a message may contain itself.
        self._messages[descriptor.full_name] = read
        for field in descriptor.fields:
            oneof = field.containing_oneof.name if field.containing_oneof else ""
            entry = (field.name, self.field(field), _takes_null(field), oneof)
            table[field.json_name] = table[field.name] = entry
        return read

    def _single(self, field: FieldDescriptor) -> Read:
        if field.message_type is not None:
            return self.message(field.message_type)
        return scalar(field)

    def _list(self, field: FieldDescriptor) -> Read:
        convert, nulls = self._single(field), _takes_null(field, item=True)

        def read(value: Any) -> list[Any]:
            if type(value) is not list:
                raise Refused("must be a list")
            if None in value and not nulls:
                raise Refused("must not contain null")
            try:
                return list(map(convert, value))
            except Refused:
                return _located(convert, value)

        return read

    def _map(self, field: FieldDescriptor) -> Read:
        entry = field.message_type.fields_by_name
        read_key, convert = map_key(entry["key"]), self._single(entry["value"])
        nulls = _takes_null(entry["value"], item=True)
        message_type = entry["value"].message_type
        build = message_factory.GetMessageClass(message_type) if message_type else None

        def read(value: Any) -> dict[Any, Any]:
            if type(value) is not dict:
                raise Refused("must be an object")
            found: dict[Any, Any] = {}
            for key, item in value.items():
                try:
                    if item is None and not nulls:
                        raise Refused("must not be null")
                    result = convert(item)
                    name = read_key(key)
                except Refused as refused:
                    refused.path.append(f"[{key}]")
                    raise
                # The constructor takes keyword arguments everywhere but here.
                found[name] = build(**result) if build and type(result) is dict else result
            return found

        return read


def _is_map(field: FieldDescriptor) -> bool:
    message = field.message_type
    return bool(field.is_repeated and message and message.GetOptions().map_entry)


def _takes_null(field: FieldDescriptor, *, item: bool = False) -> bool:
    """Whether null is a value of the field (`item`: of one value of it) and not its absence."""
    if field.is_repeated and not item:
        return False
    if field.message_type is not None:
        return bool(field.message_type.full_name == _VALUE)
    return bool(field.enum_type is not None and field.enum_type.full_name == NULL_VALUE)


def _twice(description: str, key: str) -> Refused:
    return Refused(description, reason=GatewayReason.CONFLICTING_FIELD, field=key)


def _located(convert: Read, items: list[Any]) -> list[Any]:
    """Convert again, one by one, to tell which item is refused."""
    for index, item in enumerate(items):
        try:
            convert(item)
        except Refused as refused:
            refused.path.append(f"[{index}]")
            raise
    return []
