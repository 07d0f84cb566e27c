"""The text of a URL to fields of a request: path variables and query parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from gateway.codec._scalars import INT32, FieldError, Read, integer, scalar
from gateway.codec._wellknown import duration, field_mask, timestamp

_BOOLEANS: Final = {"true": True, "True": True, "false": False, "False": False}


class NoParameter(LookupError):  # noqa: N818 - says what it is
    """No field of the request can be given by this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A field that can be given as text.

    `path` are the names of the fields that lead to it, in snake_case.
    """

    path: tuple[str, ...]
    field: FieldDescriptor
    read: Read

    @property
    def name(self) -> str:
        """The dotted path."""
        return ".".join(self.path)

    def set(self, message: Message, texts: Sequence[str]) -> None:
        """Put the values into `message`.

        Raises:
            FieldError: a text is not a value of the field, or there are several for
                a field that takes one.
        """
        values = [self._read(text) for text in texts]
        parent = self._parent(message)
        if self.field.is_repeated:
            getattr(parent, self.path[-1]).extend(values)
        elif len(values) > 1:
            raise FieldError("is given more than once", field=self.name)
        elif isinstance(values[0], Message):
            target = getattr(parent, self.path[-1])
            target.SetInParent()
            target.MergeFrom(values[0])
        else:
            setattr(parent, self.path[-1], values[0])

    def differs(self, message: Message, text: str) -> bool:
        """Whether `message` has another value than `text` there already."""
        parent, name = self._parent(message), self.path[-1]
        present: Any = getattr(parent, name)
        unset = present == self.field.default_value
        return not unset and present != self._read(text)

    def _parent(self, message: Any) -> Any:
        for name in self.path[:-1]:
            message = getattr(message, name)
        return message

    def _read(self, text: str) -> Any:
        try:
            return self.read(text)
        except FieldError as error:
            error.path.append(self.name)
            raise


def parameter(descriptor: Descriptor, name: str) -> Parameter:
    """The parameter of a message type that is called `name`: dotted, either name of each field.

    Raises:
        NoParameter: there is no such field, or text cannot give it.
    """
    path: list[str] = []
    parent: Descriptor | None = descriptor
    field: FieldDescriptor | None = None
    for part in name.split("."):
        if parent is None or (field is not None and field.is_repeated):
            raise NoParameter(name)
        field = next((f for f in parent.fields if part in {f.name, f.json_name}), None)
        if field is None:
            raise NoParameter(name)
        path.append(field.name)
        parent = field.message_type
    assert field is not None
    read = _reader(field)
    if read is None:
        raise NoParameter(name)
    return Parameter(path=tuple(path), field=field, read=read)


def _reader(field: FieldDescriptor) -> Read | None:
    if field.message_type is not None:
        return _message(field.message_type)
    if field.enum_type is not None:
        return _enum(field.enum_type)
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


def _enum(enum: EnumDescriptor) -> Read:
    number = integer(*INT32)
    numbers = {name: value.number for name, value in enum.values_by_name.items()}

    def read(text: str) -> int:
        if text in numbers:
            return numbers[text]
        if not text.lstrip("-").isdigit():
            raise FieldError(f"is not a value of {enum.name}")
        result: int = number(text)
        return result

    return read


def _mask(text: str) -> dict[str, list[str]]:
    """Paths in camelCase, as JSON has them, or in snake_case, as people write them."""
    return {"paths": text.split(",")} if "_" in text else field_mask(text)


_TEXTS: Final[dict[str, Read]] = {
    "google.protobuf.Timestamp": timestamp,
    "google.protobuf.Duration": duration,
    "google.protobuf.FieldMask": _mask,
}
