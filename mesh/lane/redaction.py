"""What may be shown of a message to whoever looks on: its shape, and nothing personal.

A field with a `sensitivity` is told by its kind alone, whatever its type. Text that states
none is cut, and hidden when it looks like a personal number; bytes are told by their size.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import status_pb2

from engine.mesh.v1 import policy_pb2
from mesh import context as wire
from mesh import contract
from mesh.contract import ContractError
from mesh.errors import STATUS_DETAILS_KEY, ErrorView
from mesh.lane.frames import Pair
from mesh.privacy import holds_personal_number

HIDDEN: Final = "***"
MORE: Final = "…"
"""Stands for what was cut."""
MAX_SHOWN: Final = 64
"""Characters of a text."""
MAX_ITEMS: Final = 16
"""Entries of a list or a map."""
MAX_VALUES: Final = 256
"""Values of one message, with those within."""
MAX_DEPTH: Final = 16

_OPEN: Final = frozenset({wire.PURPOSE, wire.BUSINESS_DATE, wire.TRACEPARENT})
"""Keys of metadata whose values are codes, dates and numbers of traces."""
_LOOK_AHEAD: Final = 80
"""Characters behind the cut that a personal number may reach to."""
_WIDE: Final = frozenset(
    {
        FieldDescriptor.TYPE_INT64,
        FieldDescriptor.TYPE_UINT64,
        FieldDescriptor.TYPE_SINT64,
        FieldDescriptor.TYPE_FIXED64,
        FieldDescriptor.TYPE_SFIXED64,
    }
)
"""Integers that are text in JSON."""

_Types = tuple[type[Message], type[Message]]


def text(value: str) -> str:
    """A text that states no sensitivity."""
    if holds_personal_number(value[: MAX_SHOWN + _LOOK_AHEAD]):
        return HIDDEN
    return value if len(value) <= MAX_SHOWN else value[:MAX_SHOWN] + MORE


def metadata(pairs: Iterable[Pair]) -> list[tuple[str, str]]:
    """Metadata by key; values are hidden unless their key is known to hold nothing personal."""
    return [(text(key), _open(value) if key in _OPEN else HIDDEN) for key, value in pairs]


def reason(trailing: Iterable[Pair]) -> str:
    """The reason of an error of the mesh, by the metadata that it came with; empty for others."""
    status = dict(trailing).get(STATUS_DETAILS_KEY, b"")
    if not isinstance(status, bytes):
        return ""
    try:
        return text(ErrorView.from_status(status_pb2.Status.FromString(status)).reason)
    except DecodeError:
        return ""


class Redactor:
    """Turns messages into JSON; remembers what contracts say of methods and fields."""

    def __init__(self) -> None:
        self._types: dict[str, _Types | None] = {}
        self._kinds: dict[str, str] = {}

    def request(self, path: str, raw: bytes) -> str:
        """The request of a method as JSON; empty when it cannot be read."""
        return self._read(path, raw, 0)

    def reply(self, path: str, raw: bytes) -> str:
        """The whole reply of a method as JSON; empty when it cannot be read."""
        return self._read(path, raw, 1)

    def _read(self, path: str, raw: bytes, side: int) -> str:
        if path not in self._types:
            self._types[path] = _types(path)
        types = self._types[path]
        if types is None:
            return ""
        try:
            return self.shown(types[side].FromString(raw))
        except DecodeError:
            return ""

    def shown(self, message: Message) -> str:
        """The message as JSON on one line, of a bounded size."""
        data = _Walk(self._kinds).message(message, MAX_DEPTH)
        return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


class _Walk:
    """One walk through a message, which ends when it has met so many values."""

    def __init__(self, kinds: dict[str, str]) -> None:
        self._kinds = kinds
        self._left = MAX_VALUES

    def message(self, message: Message, depth: int) -> Any:
        """A message; one of a type whose fields cannot be looked up is told by its size."""
        name = message.DESCRIPTOR.full_name
        if depth == 0 or name == "google.protobuf.Any":
            return f"{message.ByteSize()} bytes"
        if isinstance(message, Timestamp | Duration):
            return _time(message)
        shown: dict[str, Any] = {}
        for field, value in message.ListFields():
            if self._left <= 0:
                shown[MORE] = MORE
                break
            self._left -= 1
            shown[field.json_name] = self._field(field, value, depth)
        return shown

    def _field(self, field: FieldDescriptor, value: Any, depth: int) -> Any:
        kind = self._kind(field)
        if kind:
            return f"{HIDDEN} {kind}"
        inner = field.message_type
        if inner is not None and inner.GetOptions().map_entry:
            return self._map(inner.fields_by_name["value"], value, depth)
        if field.is_repeated:
            return self._list(field, value, depth)
        return self._value(field, value, depth)

    def _list(self, field: FieldDescriptor, values: Any, depth: int) -> list[Any]:
        most = min(MAX_ITEMS, max(self._left, 0))
        self._left -= min(len(values), most)
        shown = [self._value(field, value, depth) for value in values[:most]]
        return shown if len(values) <= most else [*shown, f"{MORE} {len(values) - most} more"]

    def _map(self, field: FieldDescriptor, values: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        most = min(MAX_ITEMS, max(self._left, 0))
        self._left -= min(len(values), most)
        shown: dict[str, Any] = {}
        for key, _ in zip(values, range(most), strict=False):
            shown[text(str(key))] = self._value(field, values[key], depth)
        if len(values) > most:
            shown[MORE] = f"{len(values) - most} more"
        return shown

    def _value(self, field: FieldDescriptor, value: Any, depth: int) -> Any:
        if isinstance(value, Message):
            return self.message(value, depth - 1)
        if isinstance(value, str):
            return text(value)
        if isinstance(value, bytes):
            return f"{len(value)} bytes"
        if field.enum_type is not None:
            known = field.enum_type.values_by_number.get(value)
            return known.name if known is not None else value
        if field.type in _WIDE or (isinstance(value, float) and not math.isfinite(value)):
            return str(value)
        return value

    def _kind(self, field: FieldDescriptor) -> str:
        """The kind of personal data in a field; empty for none."""
        found = self._kinds.get(field.full_name)
        if found is None:
            found = self._kinds[field.full_name] = _stated(field)
        return found


def _types(path: str) -> _Types | None:
    """What a method takes and answers.

    None: no contract in this process has it, or one that states no policy: such a one says
    nothing of what is personal in it either.
    """
    name = path.removeprefix("/").replace("/", ".")
    try:
        found = contract.method(descriptor_pool.Default().FindMethodByName(name))
    except (KeyError, ContractError):
        return None
    make = message_factory.GetMessageClass
    return make(found.input), make(found.output)


def _stated(field: FieldDescriptor) -> str:
    number = contract.sensitivity(field)
    if not number:
        return ""
    known = policy_pb2.Sensitivity.DESCRIPTOR.values_by_number.get(number)
    return known.name.removeprefix("SENSITIVITY_") if known is not None else "PERSONAL"


def _open(value: str | bytes) -> str:
    return text(value if isinstance(value, str) else value.decode("ascii", "replace"))


def _time(message: Timestamp | Duration) -> str:
    try:
        return message.ToJsonString()
    except ValueError:  # out of the range that JSON has
        return f"{message.seconds}.{abs(message.nanos):09}s"
