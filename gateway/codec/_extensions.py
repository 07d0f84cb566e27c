"""Extensions of proto2 messages: in JSON under "[package.name]", in no constructor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from gateway.codec._scalars import IGNORED, FieldError, Read
from gateway.errors import GatewayReason

Find = Callable[[str], tuple[FieldDescriptor, Read] | None]
"""Extension and reader by full name; None when there is no such extension."""


def reader(descriptor: Descriptor, read: Read, find: Find, *, lax: bool) -> Read:
    """The reader of a message that can be extended.

    Args:
        descriptor: type of the message.
        read: reads the fields that are its own.
        find: finds the extensions; asked when a key is read, for a message may be
            extended by itself.
        lax: whether keys of no extension are left out.
    """
    build = message_factory.GetMessageClass(descriptor)

    def read_all(value: Any) -> Any:
        if type(value) is not dict or not any(key.startswith("[") for key in value):
            return read(value)
        message = build(**read({k: v for k, v in value.items() if not k.startswith("[")}))
        for key, item in value.items():
            if key.startswith("["):
                _set(message, key, item, find(key[1:-1]) if key.endswith("]") else None, lax=lax)
        return message

    return read_all


def _set(
    message: Message, key: str, item: Any, found: tuple[FieldDescriptor, Read] | None, *, lax: bool
) -> None:
    if found is None or found[0].containing_type is not message.DESCRIPTOR:
        if lax:
            return
        raise FieldError("is not a field", reason=GatewayReason.UNKNOWN_FIELD, field=key)
    field, convert = found
    try:
        value = IGNORED if item is None else convert(item)
    except FieldError as error:
        error.path.append(key)
        raise
    if value is not IGNORED:
        _put(message, field, value)


def _put(message: Any, field: FieldDescriptor, value: Any) -> None:
    inner = field.message_type
    if inner is None:
        if field.is_repeated:
            message.Extensions[field].extend(value)
        else:
            message.Extensions[field] = value
    elif field.is_repeated:
        message.Extensions[field].extend(_message(inner, item) for item in value)
    else:
        message.Extensions[field].CopyFrom(_message(inner, value))


def _message(descriptor: Descriptor, value: Any) -> Message:
    if isinstance(value, Message):
        return value
    return message_factory.GetMessageClass(descriptor)(**value)
