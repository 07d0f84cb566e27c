"""What a person asked `engine call` for, from the name to the printed answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

import grpc
import typer
from google.protobuf.message import Message

from cli.calling import finding, requests, verbose
from cli.calling.answers import Shape, print_answer
from cli.calling.callers import Caller
from cli.calling.catalogue import Row
from cli.calling.exchange import Exchange
from cli.calling.failures import ended_by
from cli.calling.listing import print_methods
from cli.calling.peers import Peer
from cli.calling.requests import RequestError
from cli.calling.templates import print_template
from cli.output import fail
from mesh import context as wire
from mesh.context import Metadata
from mesh.contract import ContractError
from mesh.telemetry import TraceContext

INTERRUPTED: Final = 130
"""Code of the program when Ctrl-C ended a call that answers once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked for.

    `name` means a method, or a service to list, or is empty: all that is served.
    The other fields are as on the command line.
    """

    name: str = ""
    given: str | None = None
    describe: bool = False
    metadata: Metadata = ()
    request_id: str = ""
    timeout_s: float | None = None
    shape: Shape = field(default_factory=Shape)
    verbose: bool = False


def row_of(order: Order, servers: Mapping[str, Peer]) -> Row | None:
    """The method that is asked for; None when methods were listed or described instead."""
    try:
        catalogue, silent = finding.ask_about(order.name, servers)
    except grpc.RpcError as error:
        ended_by(error)
    except ContractError as error:
        fail(str(error), "The server must serve reflection, with all files of its contract.")
    listed = finding.group(order.name, catalogue)
    if listed and order.given is None:
        print_methods(listed, catalogue)
        return None
    row = finding.method(order.name, catalogue, silent)
    if order.describe:
        print_template(row)
        return None
    return row


def carry_out(order: Order, row: Row, server: Peer, caller: Caller) -> None:
    """Make the call and print its answers; ends the program when it fails."""
    try:
        sent = _requests(order, row)
        with server.open(caller) as channel:
            exchange = Exchange(
                channel=channel,
                row=row,
                metadata=(*server.proofs(caller), *_traced(order), *order.metadata),
                timeout_s=order.timeout_s,
            )
            if order.verbose:
                verbose.before(exchange, server, caller, sent)
            _run(order, exchange, server, caller, sent)
    except RequestError as error:
        fail(str(error), "Add --describe to see what the request holds.", code=2)


def _traced(order: Order) -> Metadata:
    """Who wants to know more wants the trace, too: it is kept, whatever the rate of sampling."""
    if not order.verbose or any(key == wire.TRACEPARENT for key, _ in order.metadata):
        return ()
    return ((wire.TRACEPARENT, TraceContext.root(sampled=True).header),)


def _requests(order: Order, row: Row) -> Iterable[Message]:
    """The requests of a client stream, to be read as they are sent; else the one, complete."""
    if row.descriptor.client_streaming:
        return requests.many(row, order.given)
    request = requests.one(row, order.given)
    made = requests.identify(request, row, order.request_id)
    if made:
        typer.echo(f"request_id: {made}", err=True)
    return (request,)


def _run(
    order: Order, exchange: Exchange, server: Peer, caller: Caller, sent: Iterable[Message]
) -> None:
    row = exchange.row
    shape = replace(order.shape, one_line=row.descriptor.server_streaming)
    try:
        with _telling(order, exchange, server):
            for answer in exchange.run(sent):
                print_answer(answer, row, shape)
    except grpc.RpcError as error:
        ended_by(error, request_id=requests.key_of(sent, row), user=bool(caller.token))
    except TypeError as error:
        fail(f"the answer cannot be shown: {error}")
    except KeyboardInterrupt:
        code = 0 if row.descriptor.server_streaming else INTERRUPTED
        raise typer.Exit(code) from None


@contextmanager
def _telling(order: Order, exchange: Exchange, server: Peer) -> Iterator[None]:
    """Tell of the call when the block ends, however it does; before an error is told."""
    try:
        yield
    finally:
        if order.verbose:
            verbose.after(exchange, server)
