"""Messages to JSON values: one closure for each message type, made when first needed."""

from __future__ import annotations

import binascii
import math
import struct
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

from gateway.codec._scalars import NULL_VALUE
from gateway.codec._wellknown import Write, writer

_LARGEST_FLOAT: Final = struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]


class Writing:
    """The writers of one descriptor pool. Fields that are not set are left out."""

    def __init__(self, pool: DescriptorPool) -> None:
        self._pool = pool
        self._messages: dict[str, Write] = {}

    def message(self, descriptor: Descriptor) -> Write:
        """The writer of a message: message → JSON value."""
        found = self._messages.get(descriptor.full_name)
        if found is None:
            found = writer(descriptor, self._pool) or self._wrapper(descriptor)
            if found is None:
                return self._plain(descriptor)
            self._messages[descriptor.full_name] = found
        return found

    def field(self, field: FieldDescriptor) -> Write | None:
        """The writer of a field's whole value; None when the value is JSON as it is."""
        if not field.is_repeated:
            return self._single(field)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            return self._map(field.message_type)
        convert = self._single(field)
        return list if convert is None else lambda values: list(map(convert, values))

    def _plain(self, descriptor: Descriptor) -> Write:
        table: dict[int, tuple[str, Write | None]] = {}

        def write(message: Any) -> dict[str, Any]:
            found = {}
            for field, value in message.ListFields():
                name, convert = table[field.number]
                found[name] = value if convert is None else convert(value)
            return found

        # Registered before its fields are looked at: a message may contain itself.
        self._messages[descriptor.full_name] = write
        for field in descriptor.fields:
            table[field.number] = (field.json_name, self.field(field))
        if descriptor.is_extendable:
            for field in self._pool.FindAllExtensions(descriptor):
                table[field.number] = (f"[{field.full_name}]", self.field(field))
        return write

    def _wrapper(self, descriptor: Descriptor) -> Write | None:
        if descriptor.file.name != "google/protobuf/wrappers.proto":
            return None
        convert = self._single(descriptor.fields_by_name["value"])
        if convert is None:
            return lambda message: message.value
        return lambda message: convert(message.value)

    def _single(self, field: FieldDescriptor) -> Write | None:
        if field.message_type is not None:
            return self.message(field.message_type)
        if field.enum_type is not None:
            return _enum(field.enum_type)
        return _SCALARS.get(field.type)

    def _map(self, descriptor: Descriptor) -> Write:
        entry = descriptor.fields_by_name
        key = _bool_key if entry["key"].type == FieldDescriptor.TYPE_BOOL else str
        convert = self._single(entry["value"])

        def write(values: Any) -> dict[str, Any]:
            if convert is None:
                return {key(name): value for name, value in values.items()}
            return {key(name): convert(value) for name, value in values.items()}

        return write


def _enum(enum: EnumDescriptor) -> Write:
    if enum.full_name == NULL_VALUE:
        return lambda _: None
    names: dict[int, str] = {}
    for value in enum.values:
        names.setdefault(value.number, value.name)  # of aliases the first
    return lambda number: names.get(number, number)


def _bool_key(key: bool) -> str:
    return "true" if key else "false"


def _bytes(value: bytes) -> str:
    return binascii.b2a_base64(value, newline=False).decode("ascii")


def _double(value: float) -> float | str:
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _float(value: float) -> float | str:
    """The shortest decimal that reads back as the same 32 bits."""
    if not math.isfinite(value):
        return _double(value)
    for digits in range(6, 9):
        short = float(f"{value:.{digits}g}")
        if (
            abs(short) <= _LARGEST_FLOAT
            and struct.unpack("<f", struct.pack("<f", short))[0] == value
        ):
            return short
    return value


_SCALARS: Final[dict[int, Write]] = {
    FieldDescriptor.TYPE_INT64: str,
    FieldDescriptor.TYPE_UINT64: str,
    FieldDescriptor.TYPE_SINT64: str,
    FieldDescriptor.TYPE_FIXED64: str,
    FieldDescriptor.TYPE_SFIXED64: str,
    FieldDescriptor.TYPE_BYTES: _bytes,
    FieldDescriptor.TYPE_DOUBLE: _double,
    FieldDescriptor.TYPE_FLOAT: _float,
}
