"""The well-known types, whose JSON is not that of a plain message."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

from gateway.codec._scalars import FieldError, Read, scalar

Write = Callable[[Any], Any]
"""Turns a field's value into a JSON value; raises ValueError."""

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - UTC throughout
_FIRST_S, _LAST_S = -62_135_596_800, 253_402_300_799  # years 1 to 9999
_MAX_DURATION_S: Final = 315_576_000_000
_BILLION: Final = 1_000_000_000

_TIMESTAMP = re.compile(
    r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(?:Z|([+-])(\d{2}):(\d{2}))", re.ASCII
)
_DURATION = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,9}))?s", re.ASCII)
_CAMEL = re.compile(r"[A-Z]")
_SNAKE = re.compile(r"_([a-z])")


def reader(descriptor: Descriptor, pool: DescriptorPool, *, lax: bool) -> Read | None:
    """The reader of a well-known type; None for any other message.

    `lax` matters to Any alone: it leaves out what the message within does not know.
    """
    name = descriptor.full_name
    if descriptor.file.name == "google/protobuf/wrappers.proto":
        convert = scalar(descriptor.fields_by_name["value"])
        return lambda value: {"value": convert(value)}
    if name in _BY_LIBRARY:
        return _library_reader(descriptor, pool, lax=lax)
    return _READERS.get(name)


def writer(descriptor: Descriptor, pool: DescriptorPool) -> Write | None:
    """The writer of a well-known type, wrappers left out; None for any other message."""
    if descriptor.full_name in _BY_LIBRARY:
        return lambda message: _library_json(message, pool)
    return _WRITERS.get(descriptor.full_name)


def timestamp(value: Any) -> dict[str, int]:
    """RFC 3339 text to seconds and nanoseconds."""
    match = _TIMESTAMP.fullmatch(value) if type(value) is str else None
    if match is None:
        raise FieldError("must be a time such as 2026-01-31T08:00:00Z")
    clock, fraction, sign, hours, minutes = match.groups()
    try:
        since = datetime.fromisoformat(clock) - _EPOCH
    except ValueError:
        raise FieldError("is not a time") from None
    seconds = since.days * 86_400 + since.seconds
    if sign:
        if int(hours) > 23 or int(minutes) > 59:
            raise FieldError("has no such offset from UTC")
        offset = int(hours) * 3600 + int(minutes) * 60
        seconds -= -offset if sign == "-" else offset
    if not _FIRST_S <= seconds <= _LAST_S:
        raise FieldError("must lie in the years 1 to 9999")
    return {"seconds": seconds, "nanos": _nanos(fraction)}


def duration(value: Any) -> dict[str, int]:
    """Text such as "1.5s" to seconds and nanoseconds."""
    match = _DURATION.fullmatch(value) if type(value) is str else None
    if match is None:
        raise FieldError("must be seconds such as 1.5s")
    sign, seconds, fraction = match.groups()
    factor = -1 if sign else 1
    whole, nanos = int(seconds), _nanos(fraction)
    if whole > _MAX_DURATION_S:  # the fraction is beside the bound, as it is in the message
        raise FieldError("is longer than 10,000 years")
    return {"seconds": factor * whole, "nanos": factor * nanos}


def field_mask(value: Any) -> dict[str, list[str]]:
    """Comma-separated paths in camelCase to paths in snake_case."""
    if type(value) is not str or "_" in value:
        raise FieldError("must be paths in camelCase, separated by commas")
    paths = value.split(",") if value else []
    return {"paths": [_CAMEL.sub(lambda m: "_" + m[0].lower(), path) for path in paths]}


def _nanos(fraction: str | None) -> int:
    return int(fraction.ljust(9, "0")) if fraction else 0


def _timestamp_text(message: Any) -> str:
    seconds, nanos = message.seconds, message.nanos
    if not _FIRST_S <= seconds <= _LAST_S or not 0 <= nanos < _BILLION:
        raise ValueError("a Timestamp is out of bounds")
    return f"{(_EPOCH + timedelta(seconds=seconds)).isoformat()}{_fraction(nanos)}Z"


def _duration_text(message: Any) -> str:
    seconds, nanos = message.seconds, message.nanos
    mixed = seconds * nanos < 0
    if abs(seconds) > _MAX_DURATION_S or abs(nanos) >= _BILLION or mixed:
        raise ValueError("a Duration is out of bounds")
    sign = "-" if seconds < 0 or nanos < 0 else ""
    return f"{sign}{abs(seconds)}{_fraction(abs(nanos))}s"


def _fraction(nanos: int) -> str:
    """0, 3, 6 or 9 digits, as few as are exact."""
    if not nanos:
        return ""
    text = f".{nanos:09d}"
    if text.endswith("000000"):
        return text[:4]
    return text[:7] if text.endswith("000") else text


def _field_mask_text(message: Any) -> str:
    return ",".join(map(_camel_path, message.paths))


def _camel_path(path: str) -> str:
    camel = _SNAKE.sub(lambda match: match[1].upper(), path)
    if "_" in camel or _CAMEL.search(path):
        raise ValueError("a FieldMask has a path that does not survive JSON")
    return camel


def _library_reader(descriptor: Descriptor, pool: DescriptorPool, *, lax: bool) -> Read:
    """Any and Struct are rare and intricate: `json_format` reads them."""
    build = message_factory.GetMessageClass(descriptor)

    def read(value: Any) -> Message:
        try:
            return json_format.ParseDict(value, build(), lax, pool)
        except (json_format.ParseError, *_LIBRARY_ERRORS) as error:
            raise FieldError(f"is not a {descriptor.name}") from error

    return read


def _library_json(message: Message, pool: DescriptorPool) -> Any:
    try:
        return json_format.MessageToDict(message, descriptor_pool=pool)
    except (json_format.SerializeToJsonError, TypeError, ValueError) as error:
        raise ValueError(f"a {message.DESCRIPTOR.name} cannot be printed") from error


_LIBRARY_ERRORS = (AttributeError, KeyError, TypeError, ValueError)
"""What `json_format` raises, beside its own errors, for JSON of the wrong kind."""

_BY_LIBRARY = frozenset(
    f"google.protobuf.{name}" for name in ("Any", "Struct", "Value", "ListValue")
)
_READERS: Final[dict[str, Read]] = {
    "google.protobuf.Timestamp": timestamp,
    "google.protobuf.Duration": duration,
    "google.protobuf.FieldMask": field_mask,
}
_WRITERS: Final[dict[str, Write]] = {
    "google.protobuf.Timestamp": _timestamp_text,
    "google.protobuf.Duration": _duration_text,
    "google.protobuf.FieldMask": _field_mask_text,
}
