"""The request of a method as a JSON template: each value says what belongs there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import typer
from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from cli.calling import rules
from cli.calling.answers import print_json
from cli.calling.catalogue import Row
from cli.calling.listing import permission, signature
from cli.calling.requests import REQUEST_ID, has_request_id
from cli.calling.types import WELL_KNOWN, entry_of, is_map, text_of
from engine.mesh.v1 import policy_pb2
from mesh.contract import Method

MAX_DEPTH: Final = 6
"""Deepest that messages within messages are shown."""


def print_template(row: Row) -> None:
    """Print the template on standard output, and what else is to be known on standard error."""
    typer.secho(f"{row.path.lstrip('/')}{signature(row)}", err=True, bold=True)
    for line in about(row):
        typer.echo(f"  {line}", err=True)
    print_json(template(row.descriptor.input_type), spread=True)


def template(message: Descriptor) -> Any:
    """What a request looks like; fields that only servers fill are left out."""
    if message.full_name in WELL_KNOWN:
        return WELL_KNOWN[message.full_name]
    return _object(message, ())


def about(row: Row) -> Iterator[str]:
    """Lines on who may call it and how, and on the rules that are about whole messages."""
    if row.policy is not None:
        yield ", ".join(_policy(row, row.policy))
    yield from dict.fromkeys(_rules_of_messages(row.descriptor.input_type, "", ()))


def _policy(row: Row, method: Method) -> Iterator[str]:
    policy = method.policy
    yield permission(row) if policy.anonymous else f"permission {permission(row)}"
    if policy.purpose:
        yield f"--purpose {policy.purpose}"
    if policy.scope:
        name = policy_pb2.Scope.Name(policy.scope).removeprefix("SCOPE_")
        yield f"scope {name}{f' by {policy.scope_field}' if policy.scope_field else ''}"
    if policy.maker_checker:
        yield "checker is not maker"
    if policy.audited:
        yield "audited"
    yield f"at most {method.timeout_s:g} s"
    if method.read_only:
        yield "changes nothing"
    elif has_request_id(row):
        yield f"{REQUEST_ID} is filled when it is left out"


def _object(message: Descriptor, above: tuple[Descriptor, ...]) -> Any:
    inner = (*above, message)
    return {f.json_name: _value(f, inner) for f in message.fields if not rules.is_output_only(f)}


def _value(field: FieldDescriptor, above: tuple[Descriptor, ...]) -> Any:
    found = rules.of_field(field)
    if is_map(field):
        key, value = entry_of(field)
        name = _text(key, found.map.keys, *rules.words(found))
        return {name: _one(value, found.map.values, above)}
    if field.is_repeated:
        return [_one(field, found.repeated.items, above, *rules.words(found))]
    return _one(field, found, above)


def _one(
    field: FieldDescriptor,
    found: validate_pb2.FieldRules,
    above: tuple[Descriptor, ...],
    *before: str,
) -> Any:
    message = field.message_type
    if message is None or message.full_name in WELL_KNOWN:
        return _text(field, found, *before)
    if message in above or len(above) >= MAX_DEPTH:
        return f"{message.name}, {'as above' if message in above else '{…}'}"
    return _object(message, above)


def _text(field: FieldDescriptor, found: validate_pb2.FieldRules, *before: str) -> str:
    is_enum = field.enum_type is not None
    kind = " | ".join(rules.choices(field, found)) if is_enum else text_of(field)
    parts = (*before, kind, *rules.words(found), *rules.notes(field))
    return ", ".join(dict.fromkeys(parts))


def _rules_of_messages(
    message: Descriptor, path: str, above: tuple[Descriptor, ...]
) -> Iterator[str]:
    """Rules that no single value of the template can tell, each with its path."""
    where = f"{path}: " if path else ""
    yield from (f"{where}{rule}" for rule in rules.of_message(message))
    for field in message.fields:
        inner = field.message_type
        if inner is None or is_map(field) or rules.is_output_only(field):
            continue
        if inner.full_name in WELL_KNOWN or inner in above or len(above) >= MAX_DEPTH:
            continue
        place = f"{path}.{field.json_name}" if path else field.json_name
        said = [*rules.words(rules.of_field(field)), *rules.notes(field)]
        if said:
            yield f"{place}: {', '.join(said)}"
        yield from _rules_of_messages(inner, place, (*above, message))
