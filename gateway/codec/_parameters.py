"""The text of a URL to fields of a request: path variables and query parameters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from gateway.codec._scalars import (
    IGNORED,
    INT32,
    FieldError,
    Read,
    integer,
    map_key,
    scalar,
)
from gateway.codec._wellknown import duration, field_mask, timestamp
from gateway.errors import GatewayReason

_ENTRY = re.compile(r"([^\[\]]+)\[(.*)\]", re.DOTALL)
_BOOLEANS: Final = {"true": True, "True": True, "false": False, "False": False}


class NoParameter(LookupError):  # noqa: N818 - says what it is
    """No field of the request can be given by this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A field that can be given as text.

    `path` are the names of the fields that lead to it, in snake_case; of an entry of a
    map its key, too. `field` is the entry's value then. `oneofs` are those that the way
    leads through: how many names lead to each, and what it is called.
    """

    path: tuple[str, ...]
    field: FieldDescriptor
    read: Read
    key: Any = None
    oneofs: tuple[tuple[int, str], ...] = ()

    @property
    def name(self) -> str:
        """The dotted path."""
        return ".".join(self.path).replace(".[", "[")

    def set(self, message: Message, texts: Sequence[str]) -> None:
        """Put the values into `message`.

        Raises:
            FieldError: a text is not a value of the field, or there are several for
                a field that takes one; or `message` has another member of a oneof.
        """
        if self.oneofs:
            self._refuse_other_members(message)
        values = [value for text in texts if (value := self._read(text)) is not IGNORED]
        parent, name = self._lead(message, -1), self.path[-1]
        if self.field.is_repeated:
            getattr(parent, name).extend(values)
        elif len(values) != 1:
            if values:
                raise FieldError("is given more than once", field=self.name)
        elif self.key is not None:  # then the parent is the map
            _put(parent, self.key, values[0])
        elif isinstance(values[0], Message):
            getattr(parent, name).CopyFrom(values[0])
        else:
            setattr(parent, name, values[0])

    def _refuse_other_members(self, message: Message) -> None:
        for depth, oneof in self.oneofs:
            chosen = self._lead(message, depth).WhichOneof(oneof)
            if chosen not in {None, self.path[depth]}:
                raise FieldError(
                    f"excludes another member of '{oneof}'",
                    reason=GatewayReason.CONFLICTING_FIELD,
                    field=self.name,
                )

    def differs(self, message: Message, text: str) -> bool:
        """Whether `message` has another value than `text` there already."""
        parent, name = self._lead(message, -1), self.path[-1]
        present: Any = getattr(parent, name)
        unset = present == self.field.default_value
        return not unset and present != self._read(text)

    def _lead(self, message: Any, depth: int) -> Any:
        for name in self.path[:depth]:
            message = getattr(message, name)
        return message

    def _read(self, text: str) -> Any:
        try:
            return self.read(text)
        except FieldError as error:
            error.path.append(self.name)
            raise


def parameter(descriptor: Descriptor, name: str, *, lax: bool = False) -> Parameter:
    """The parameter of a message type that is called `name`: dotted, either name of each field.

    An entry of a map is called "labels[key]". A lax one leaves out names of enum values
    that the contract does not know.

    Raises:
        NoParameter: there is no such field, or text cannot give it.
    """
    entry = _ENTRY.fullmatch(name)
    fields = _fields(descriptor, entry[1] if entry else name)
    path, field = tuple(field.name for field in fields), fields[-1]
    if entry is not None:
        return _entry(path, field, entry[2], lax=lax)
    read = _reader(field, lax=lax)
    if read is None:
        raise NoParameter(name)
    return Parameter(path=path, field=field, read=read, oneofs=tuple(_oneofs(fields)))


def _fields(descriptor: Descriptor, name: str) -> list[FieldDescriptor]:
    found: list[FieldDescriptor] = []
    parent: Descriptor | None = descriptor
    field: FieldDescriptor | None = None
    for part in name.split("."):
        if parent is None or (field is not None and field.is_repeated):
            raise NoParameter(name)
        field = next((f for f in parent.fields if part in {f.name, f.json_name}), None)
        if field is None:
            raise NoParameter(name)
        found.append(field)
        parent = field.message_type
    return found


def _oneofs(fields: Sequence[FieldDescriptor]) -> Iterator[tuple[int, str]]:
    for depth, field in enumerate(fields):
        oneof = field.containing_oneof
        if oneof is not None and len(oneof.fields) > 1:  # of one: a field with presence
            yield depth, oneof.name


def _entry(path: tuple[str, ...], field: FieldDescriptor, key: str, *, lax: bool) -> Parameter:
    if field.message_type is None or not field.message_type.GetOptions().map_entry:
        raise NoParameter(".".join(path))
    key_field, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
    read = _reader(value, lax=lax)
    if read is None:
        raise NoParameter(".".join(path))
    try:
        found = map_key(key_field)(key)
    except FieldError:
        raise NoParameter(".".join(path)) from None
    return Parameter(path=(*path, f"[{found}]"), field=value, read=read, key=found)


def _put(values: Any, key: Any, value: Any) -> None:
    if isinstance(value, Message):
        values[key].CopyFrom(value)
    else:
        values[key] = value


def _reader(field: FieldDescriptor, *, lax: bool = False) -> Read | None:
    if field.message_type is not None:
        return _message(field.message_type)
    if field.enum_type is not None:
        return _enum(field.enum_type, lax=lax)
    return _bool if field.type == FieldDescriptor.TYPE_BOOL else scalar(field)


def _message(descriptor: Descriptor) -> Read | None:
    """The readers of the messages that have a text form."""
    read = _TEXTS.get(descriptor.full_name)
    if read is None and descriptor.file.name == "google/protobuf/wrappers.proto":
        inner = _reader(descriptor.fields_by_name["value"])
        assert inner is not None
        read = lambda text: {"value": inner(text)}  # noqa: E731 - one of several readers
    if read is None:
        return None
    convert, build = read, message_factory.GetMessageClass(descriptor)
    return lambda text: build(**convert(text))


def _bool(text: str) -> bool:
    if text not in _BOOLEANS:
        raise FieldError("must be true or false")
    return _BOOLEANS[text]


def _enum(enum: EnumDescriptor, *, lax: bool) -> Read:
    number = integer(*INT32)
    numbers = {name: value.number for name, value in enum.values_by_name.items()}

    def read(text: str) -> Any:
        if text in numbers:
            return numbers[text]
        if not text.lstrip("-").isdigit():
            if lax:
                return IGNORED
            raise FieldError(f"is not a value of {enum.name}")
        return number(text)

    return read


def _mask(text: str) -> dict[str, list[str]]:
    """Paths in camelCase, as JSON has them, or in snake_case, as people write them."""
    return {"paths": text.split(",")} if "_" in text else field_mask(text)


_TEXTS: Final[dict[str, Read]] = {
    "google.protobuf.Timestamp": timestamp,
    "google.protobuf.Duration": duration,
    "google.protobuf.FieldMask": _mask,
}
