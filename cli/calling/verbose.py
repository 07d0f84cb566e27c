"""What '-v' tells on standard error: '>' what goes out, '<' what comes back.

What may be read over a shoulder or end in a log is masked: proofs, and personal data in
the request. Answers are printed as they come, since the caller may see them.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Any, Final

import typer
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from cli.calling.answers import as_data, as_json
from cli.calling.callers import Caller
from cli.calling.catalogue import Row
from cli.calling.exchange import Exchange
from cli.calling.peers import Peer
from cli.calling.types import WELL_KNOWN, entry_of, is_map
from cli.seq.shown import plain
from mesh import context as wire
from mesh import contract
from mesh.errors import STATUS_DETAILS_KEY
from mesh.telemetry import TraceContext

MASK: Final = "***"

_SECRET: Final = frozenset(
    {wire.AUTHORIZATION, wire.CALLER, "proxy-authorization", "cookie", "set-cookie", "x-api-key"}
)


def before(exchange: Exchange, server: Peer, caller: Caller, sent: Iterable[Message]) -> None:
    """Tell where a call goes and what goes out; of a client stream not its requests."""
    row = exchange.row
    _tell("*", (f"to {server.name} at {server.where}, as {server.known_as(caller)}",))
    _tell(">", (row.path.lstrip("/"), *metadata(exchange.metadata)))
    if not row.descriptor.client_streaming:
        _tell(">", (echo(request, row) for request in sent))


def after(exchange: Exchange, server: Peer) -> None:
    """Tell what came back beside the answers, how it ended, how long it took and by which way."""
    told = exchange.told
    _tell("<", (*metadata(told.initial), *metadata(told.trailing)))
    answers = f"{told.answers} answer{'' if told.answers == 1 else 's'}"
    ended = f"{told.code or 'interrupted'}, {answers} in {told.elapsed_s * 1e3:.1f} ms"
    way = f", by {told.way}" if told.way else ""
    _tell("*", (f"{ended}{way} to {server.where}", *_trace(exchange)))


def _trace(exchange: Exchange) -> Iterator[str]:
    """How to see where the time went, in a service that traces."""
    header = dict(exchange.metadata).get(wire.TRACEPARENT, "")
    trace = TraceContext.parse(header) if isinstance(header, str) else None
    if trace is not None and exchange.row.policy is not None:
        yield f"'engine trace {trace.trace_hex}' shows its steps, some seconds from now"


def metadata(pairs: Iterable[Any]) -> Iterator[str]:
    """Metadata in lines; what proves somebody is masked, bytes are in base64."""
    for key, value in pairs:
        if key == STATUS_DETAILS_KEY:  # told as the error
            continue
        text = base64.b64encode(value).decode() if isinstance(value, bytes) else plain(value)
        yield f"{plain(key)}: {MASK if key.lower() in _SECRET else text}"


def echo(request: Message, row: Row) -> str:
    """A request as JSON on one line, personal data and secrets masked."""
    return as_json(masked(as_data(request, row), row.descriptor.input_type))


def _tell(sign: str, lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(f"{sign} {line}", err=True)


def masked(data: Any, message: Descriptor) -> Any:
    """A message as JSON has it, without what is personal or secret by its fields' options."""
    if message.full_name == "google.protobuf.Any":
        return MASK  # of a type whose fields are not looked up
    if message.full_name in WELL_KNOWN or not isinstance(data, dict):
        return data
    fields = {field.json_name: field for field in message.fields}
    return {
        key: _field(value, fields[key]) if key in fields else MASK for key, value in data.items()
    }


def _field(value: Any, field: FieldDescriptor) -> Any:
    if contract.sensitivity(field):
        return MASK
    if is_map(field):
        _, entry = entry_of(field)
        return {key: _field(inner, entry) for key, inner in value.items()}
    if field.message_type is None:
        return value
    if isinstance(value, list) and field.is_repeated:
        return [masked(inner, field.message_type) for inner in value]
    return masked(value, field.message_type)
