"""JSON values to the values of scalar fields."""

from __future__ import annotations

import binascii
import re
import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from gateway.errors import GatewayReason

Read = Callable[[Any], Any]
"""Turns a JSON value into what a message's constructor takes; raises `FieldError`."""

NULL_VALUE: Final = "google.protobuf.NullValue"
IGNORED: Final = object()
"""What a lax reader answers for the name of an enum's value that it does not know."""

INT32: Final = (-(1 << 31), (1 << 31) - 1)
INT64: Final = (-(1 << 63), (1 << 63) - 1)
_UINT32 = (0, (1 << 32) - 1)
_UINT64 = (0, (1 << 64) - 1)
_MAX_DIGITS = 20
MAX_SHOWN: Final = 100
"""Characters of a name that is quoted back to its sender."""

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")
_SPECIAL = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


class FieldError(Exception):
    """A value that a field does not take. `path` grows on the way out, innermost name first."""

    def __init__(
        self,
        description: str,
        *,
        reason: GatewayReason = GatewayReason.INVALID_FIELD,
        field: str = "",
    ) -> None:
        self.reason = reason
        self.description = description
        self.path = [field] if field else []
        super().__init__(description)

    @property
    def field(self) -> str:
        """Where it stands: "followUp.nextTime", "tags[2]"; safe to be shown whatever was sent."""
        names = (name[:MAX_SHOWN] for name in reversed(self.path))
        path = "".join(n if n.startswith("[") else f".{n}" for n in names).removeprefix(".")
        return path.encode(errors="backslashreplace").decode()


def scalar(field: FieldDescriptor, *, lax: bool = False) -> Read:
    """The reader of one value of a field that is no message; a lax one may answer `IGNORED`."""
    if field.enum_type is None:
        return _READERS[field.type]
    return _lax_enum(field.enum_type) if lax else _enum(field.enum_type)


def map_key(field: FieldDescriptor) -> Read:
    """The reader of the keys of a map; in JSON they are always text."""
    return _bool_key if field.type == FieldDescriptor.TYPE_BOOL else scalar(field)


def integer(low: int, high: int) -> Read:
    """The reader of whole numbers within bounds."""

    def read(value: Any) -> int:
        number = value if type(value) is int else _whole(value)
        if not low <= number <= high:
            raise FieldError(f"must be between {low} and {high}")
        return number

    return read


def _whole(value: Any) -> int:
    if type(value) is str:
        if _INTEGER.fullmatch(value) and len(value) <= _MAX_DIGITS:
            return int(value)
        if _NUMBER.fullmatch(value):
            return _exact(Decimal(value))
    elif type(value) is float and value.is_integer():
        return int(value)
    raise FieldError("must be a whole number")


def _exact(number: Decimal) -> int:
    if number.adjusted() > _MAX_DIGITS:  # the digits of 1e999999999 would fill the memory
        raise FieldError("is out of bounds")
    if number != number.to_integral_value():
        raise FieldError("must be a whole number")
    return int(number)


def _double(value: Any) -> float:
    try:
        if type(value) is float or type(value) is int:
            return float(value)
        if type(value) is str and _NUMBER.fullmatch(value):
            number = float(value)
            if number not in (_SPECIAL["Infinity"], _SPECIAL["-Infinity"]):
                return number
    except OverflowError:
        raise FieldError("is out of bounds") from None
    if type(value) is str and value in _SPECIAL:
        return _SPECIAL[value]
    raise FieldError("must be a number")


def _float(value: Any) -> float:
    number = _double(value)
    try:
        struct.pack("<f", number)
    except OverflowError:
        raise FieldError("is out of bounds") from None
    return number


def _bool(value: Any) -> bool:
    if type(value) is not bool:
        raise FieldError("must be true or false")
    return value


def _bool_key(value: Any) -> bool:
    if value not in {"true", "false"}:
        raise FieldError("must be true or false")
    return bool(value == "true")


def _string(value: Any) -> str:
    if type(value) is not str:
        raise FieldError("must be a string")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise FieldError("contains half of a character") from None
    return value


def _bytes(value: Any) -> bytes:
    if type(value) is not str or not _BASE64.fullmatch(value):
        raise FieldError("must be base64")
    text = value.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return binascii.a2b_base64(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise FieldError("must be base64") from None


def _enum(enum: EnumDescriptor) -> Read:
    numbers = {name: value.number for name, value in enum.values_by_name.items()}
    whole = integer(*INT32)
    is_null = enum.full_name == NULL_VALUE

    def read(value: Any) -> int:
        if type(value) is str:
            if value not in numbers:
                raise FieldError(f"is not a value of {enum.name}")
            return numbers[value]
        if value is None and is_null:
            return 0
        number: int = whole(value)
        return number

    return read


def _lax_enum(enum: EnumDescriptor) -> Read:
    strict, names = _enum(enum), frozenset(enum.values_by_name)
    return lambda value: IGNORED if type(value) is str and value not in names else strict(value)


_READERS: Final[dict[int, Read]] = {
    FieldDescriptor.TYPE_INT32: integer(*INT32),
    FieldDescriptor.TYPE_SINT32: integer(*INT32),
    FieldDescriptor.TYPE_SFIXED32: integer(*INT32),
    FieldDescriptor.TYPE_UINT32: integer(*_UINT32),
    FieldDescriptor.TYPE_FIXED32: integer(*_UINT32),
    FieldDescriptor.TYPE_INT64: integer(*INT64),
    FieldDescriptor.TYPE_SINT64: integer(*INT64),
    FieldDescriptor.TYPE_SFIXED64: integer(*INT64),
    FieldDescriptor.TYPE_UINT64: integer(*_UINT64),
    FieldDescriptor.TYPE_FIXED64: integer(*_UINT64),
    FieldDescriptor.TYPE_DOUBLE: _double,
    FieldDescriptor.TYPE_FLOAT: _float,
    FieldDescriptor.TYPE_BOOL: _bool,
    FieldDescriptor.TYPE_STRING: _string,
    FieldDescriptor.TYPE_BYTES: _bytes,
}
