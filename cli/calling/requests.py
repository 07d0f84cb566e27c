"""Requests from JSON.

`json_format` reads them. What a person gets wrong most often is looked for before, so that
it is told by its path and with the name that was meant.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, Final
from uuid import uuid4

from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from cli.calling import sources
from cli.calling.catalogue import Row
from cli.calling.sources import SourceError

REQUEST_ID: Final = "request_id"

_WRAPPED = re.compile(r"Failed to parse \S+ field: ")
_PLACE = re.compile(r' at "?\w+((?:\.\w+|\[\d+\])*)"?\.*$')
_LEADING_NAME = re.compile(r"Failed to parse (\S+) field: ")


class RequestError(Exception):
    """A request that cannot be sent; the text names the field and what was meant."""


def one(row: Row, given: str | None) -> Message:
    """The request of a method that takes one; the empty one when none is given.

    Raises:
        RequestError: it cannot be read or is no such message.
    """
    try:
        text = "{}" if given is None else sources.whole(given)
    except SourceError as error:
        raise RequestError(str(error)) from error
    return read(text, row)


def many(row: Row, given: str | None) -> Iterator[Message]:
    """The requests of a client stream, one a line; empty lines are passed over.

    Raises:
        RequestError: in the midst of it, with the number of the line.
    """
    if given is None:
        return
    try:
        for number, line in enumerate(sources.lines(given), 1):
            if line.strip():
                yield _line(number, line, row)
    except SourceError as error:
        raise RequestError(str(error)) from error


def identify(request: Any, row: Row, wanted: str) -> str:
    """Give a request its idempotency key: the wanted one, else a new one if it needs one.

    It needs one when it has none, and the method takes effect by the mesh's options.

    Returns:
        The key that was made; empty when none was.

    Raises:
        RequestError: it takes no key, or has another one.
    """
    if not has_request_id(row):
        if wanted:
            raise RequestError(f"{row.descriptor.name} takes no {REQUEST_ID}")
        return ""
    if wanted and request.request_id not in ("", wanted):
        raise RequestError(f"the JSON has another {REQUEST_ID}: '{request.request_id}'")
    request.request_id = request.request_id or wanted
    if request.request_id or not _takes_effect(row):
        return ""
    request.request_id = str(uuid4())
    return str(request.request_id)


def key_of(sent: Any, row: Row) -> str:
    """The idempotency key by which a call can be repeated; empty when it cannot, or need not."""
    if row.descriptor.client_streaming or not _takes_effect(row) or not has_request_id(row):
        return ""
    (request,) = sent
    return str(request.request_id)


def has_request_id(row: Row) -> bool:
    """Whether the request has a text `request_id`."""
    field = row.descriptor.input_type.fields_by_name.get(REQUEST_ID)
    return field is not None and field.type == field.TYPE_STRING and not field.is_repeated


def _takes_effect(row: Row) -> bool:
    """Whether it does by the mesh's options; of others' methods nothing is known."""
    return row.policy is not None and not row.policy.read_only


def _line(number: int, text: str, row: Row) -> Message:
    try:
        return read(text, row)
    except RequestError as error:
        raise RequestError(f"line {number}: {error}") from error


def read(text: str, row: Row) -> Message:
    """A request message from JSON.

    Raises:
        RequestError: it is no JSON, or not of that type.
    """
    descriptor = row.descriptor.input_type
    message = message_factory.GetMessageClass(descriptor)()
    try:
        data = json.loads(text, object_pairs_hook=_unique)
        if not descriptor.full_name.startswith("google.protobuf."):
            _check_message(data, descriptor, "")
        return json_format.ParseDict(data, message, descriptor_pool=row.pool)
    except json.JSONDecodeError as error:
        raise RequestError(
            f"this is no JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        ) from error
    except RecursionError as error:
        raise RequestError("it is nested too deeply") from error
    except (json_format.ParseError, TypeError, ValueError) as error:
        raise RequestError(_tidied(str(error))) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for key, _ in pairs if sum(key == k for k, _ in pairs) > 1)
        raise RequestError(f"'{twice}' stands there twice")
    return found


def _check_message(data: Any, descriptor: Descriptor, path: str) -> None:
    if not isinstance(data, dict):
        name = f"{path} must be" if path else "the request must be"
        raise RequestError(f"{name} an object, {{…}}, for it is {_article(descriptor.name)}")
    seen: dict[str, str] = {}
    for key, value in data.items():
        field = _field(key, descriptor, path)
        if field is None:
            continue
        if field.name in seen:
            raise RequestError(f"'{seen[field.name]}' and '{key}' are the same field")
        seen[field.name] = key
        if value is not None:
            _check_field(value, field, f"{path}.{key}" if path else key)


def _field(key: str, descriptor: Descriptor, path: str) -> FieldDescriptor | None:
    """The field of a JSON name; None for an extension, which `json_format` looks up itself."""
    if key.startswith("["):
        return None
    for field in descriptor.fields:
        if key in (field.json_name, field.name):
            return field
    in_snake_case = "_" in key
    names = [f.name if in_snake_case else f.json_name for f in descriptor.fields]
    raise RequestError(
        f"{descriptor.name} has no field '{key}'{f' ({path})' if path else ''}{_meant(key, names)}"
    )


def _check_field(value: Any, field: FieldDescriptor, path: str) -> None:
    entry = field.message_type if field.is_repeated else None
    if entry is not None and entry.GetOptions().map_entry:
        if isinstance(value, dict):
            for key, inner in value.items():
                _check_one(inner, entry.fields_by_name["value"], f"{path}[{key}]")
        return
    if not field.is_repeated:
        _check_one(value, field, path)
        return
    if not isinstance(value, list):
        raise RequestError(f"{path} must be a list, […]")
    for index, inner in enumerate(value):
        _check_one(inner, field, f"{path}[{index}]")


def _check_one(value: Any, field: FieldDescriptor, path: str) -> None:
    message, values = field.message_type, field.enum_type
    if message is not None and not message.full_name.startswith("google.protobuf."):
        _check_message(value, message, path)
    elif values is not None and isinstance(value, str) and not value.lstrip("-").isdecimal():
        names = [v.name for v in values.values]
        if value not in names:
            raise RequestError(f"{path} is no {values.name}: '{value}'{_meant(value, names)}")


def _meant(given: str, names: list[str]) -> str:
    """The near name when there is one, else all names that there are."""
    lower = {name.lower(): name for name in names}
    near = get_close_matches(given.lower(), lower, n=1)
    if near:
        return f": did you mean '{lower[near[0]]}'?"
    return f": it has {', '.join(names)}" if names else ""


def _article(name: str) -> str:
    return f"{'an' if name[:1] in 'AEIOU' else 'a'} {name}"


def _tidied(text: str) -> str:
    """What `json_format` says, with the path first and without the way there."""
    names = _LEADING_NAME.findall(text)
    rest = _WRAPPED.sub("", text).rstrip(".")
    place = _PLACE.search(rest)
    path = place[1].lstrip(".") if place and place[1] else ".".join(names)
    rest = rest[: place.start()] if place else rest
    return f"{path}: {rest}" if path else rest
