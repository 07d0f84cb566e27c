"""JSON values to messages: one closure for each message type, made when first needed.

A closure turns a JSON object into keyword arguments of the message's class;
one call of the constructor then builds the whole tree in C.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

from gateway.codec import _extensions
from gateway.codec._scalars import IGNORED, NULL_VALUE, FieldError, Read, map_key, scalar
from gateway.codec._wellknown import reader
from gateway.errors import GatewayReason

_VALUE = "google.protobuf.Value"


class _Entry(NamedTuple):
    """How the value under one key is read."""

    field: str
    convert: Read
    takes_null: bool
    oneof: str


class Reading:
    """The readers of one descriptor pool.

    Args:
        pool: the pool.
        lax: leave out fields and names of enum values that the contract does not know,
            instead of refusing them.
    """

    def __init__(self, pool: DescriptorPool, *, lax: bool = False) -> None:
        self._pool = pool
        self._lax = lax
        self._messages: dict[str, Read] = {}

    def message(self, descriptor: Descriptor) -> Read:
        """The reader of a message: JSON value → keyword arguments, or a message."""
        found = self._messages.get(descriptor.full_name)
        if found is None:
            found = reader(descriptor, self._pool, lax=self._lax)
            if found is None:
                return self._plain(descriptor)
            self._messages[descriptor.full_name] = found
        return found

    def field(self, field: FieldDescriptor) -> Read:
        """The reader of a field's whole value: a list, a map or one value.

        A lax one answers `IGNORED` for one value that is to be left out.
        """
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            read = self._map(field.message_type)
            return _keeping_known_items(read) if self._lax else read
        if not field.is_repeated:
            return self._single(field)
        read = self._list(field)
        return _keeping_known(read) if self._lax else read

    def only(self, field: FieldDescriptor) -> Read:
        """The reader of a message of which the JSON gives one field, whole."""
        name, convert = field.name, self.field(field)
        if self._lax:
            return _keeping_known_items(lambda value: {name: convert(value)})
        return lambda value: {name: convert(value)}

    def _plain(self, descriptor: Descriptor) -> Read:
        table: dict[str, _Entry] = {}

        def strict(value: Any) -> dict[str, Any]:
            return _object(table, value)

        read: Read = _ignoring(table) if self._lax else strict
        if descriptor.is_extendable:
            read = _extensions.reader(descriptor, read, self._extension, lax=self._lax)
        # Registered before its fields are looked at: a message may contain itself.
        self._messages[descriptor.full_name] = read
        for field in descriptor.fields:
            oneof = field.containing_oneof.name if field.containing_oneof else ""
            entry = _Entry(field.name, self.field(field), _takes_null(field), oneof)
            table[field.json_name] = table[field.name] = entry
        return read

    def _extension(self, name: str) -> tuple[FieldDescriptor, Read] | None:
        try:
            field = self._pool.FindExtensionByName(name)
        except KeyError:
            return None
        return field, self.field(field)

    def _single(self, field: FieldDescriptor) -> Read:
        if field.message_type is not None:
            return self.message(field.message_type)
        return scalar(field, lax=self._lax)

    def _list(self, field: FieldDescriptor) -> Read:
        convert, nulls = self._single(field), _takes_null(field, item=True)

        def read(value: Any) -> list[Any]:
            if type(value) is not list:
                raise FieldError("must be a list")
            if None in value and not nulls:
                raise FieldError("must not contain null")
            try:
                return list(map(convert, value))
            except FieldError:
                return _located(convert, value)

        return read

    def _map(self, descriptor: Descriptor) -> Read:
        key, value = (descriptor.fields_by_name[name] for name in ("key", "value"))
        read_key, convert = map_key(key), self._single(value)
        nulls = _takes_null(value, item=True)
        build = message_factory.GetMessageClass(value.message_type) if value.message_type else None

        def read_item(name: str, item: Any) -> tuple[Any, Any]:
            if item is None and not nulls:
                raise FieldError("must not be null")
            result = convert(item)
            # The constructor takes keyword arguments of messages everywhere but in maps.
            return read_key(name), build(**result) if build and type(result) is dict else result

        def read(value: Any) -> dict[Any, Any]:
            if type(value) is not dict:
                raise FieldError("must be an object")
            found = {}
            for name, item in value.items():
                try:
                    key, result = read_item(name, item)
                except FieldError as error:
                    error.path.append(f"[{name}]")
                    raise
                found[key] = result
            return found

        return read


def _object(table: Mapping[str, _Entry], value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise FieldError("must be an object")
    found: dict[str, Any] = {}
    chosen: set[str] = set()
    for key, item in value.items():
        entry = table.get(key)
        if entry is None:
            raise FieldError("is not a field", reason=GatewayReason.UNKNOWN_FIELD, field=key)
        name, convert, takes_null, oneof = entry
        if name in found:
            raise _twice("is given by both of its names", key)
        if item is None and not takes_null:
            found[name] = None  # the constructor takes it for absent, as null means
            continue
        if oneof in chosen:
            raise _twice(f"excludes another member of '{oneof}'", key)
        if oneof:
            chosen.add(oneof)
        try:
            found[name] = convert(item)
        except FieldError as error:
            error.path.append(key)
            raise
    return found


def _ignoring(table: Mapping[str, _Entry]) -> Read:
    keep = _keeping_known_items(lambda known: _object(table, known))

    def read(value: Any) -> Any:
        if type(value) is not dict:
            raise FieldError("must be an object")
        return keep({key: item for key, item in value.items() if key in table})

    return read


def _keeping_known(read: Read) -> Read:
    return lambda value: [item for item in read(value) if item is not IGNORED]


def _keeping_known_items(read: Read) -> Read:
    return lambda value: {k: item for k, item in read(value).items() if item is not IGNORED}


def _takes_null(field: FieldDescriptor, *, item: bool = False) -> bool:
    """Whether null is a value of the field (`item`: of one value of it) and not its absence."""
    if field.is_repeated and not item:
        return False
    if field.message_type is not None:
        return bool(field.message_type.full_name == _VALUE)
    return bool(field.enum_type is not None and field.enum_type.full_name == NULL_VALUE)


def _twice(description: str, key: str) -> FieldError:
    return FieldError(description, reason=GatewayReason.CONFLICTING_FIELD, field=key)


def _located(convert: Read, items: list[Any]) -> list[Any]:
    """Convert again, one by one, to tell which item is refused."""
    for index, item in enumerate(items):
        try:
            convert(item)
        except FieldError as error:
            error.path.append(f"[{index}]")
            raise
    return []
