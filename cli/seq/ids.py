"""Ids on the command line: take them, look at the next one."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.output import fail
from cli.seq import shown
from cli.seq.arguments import Name
from cli.seq.connection import connected, find, get, sequencer
from cli.seq.numbers import next_of

if TYPE_CHECKING:
    from engine.sequencer.v1 import sequencer_pb2 as pb
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub

MAX_TAKEN: Final = 1_000_000_000
"""Most ids that `next` takes."""

FEW: Final = 10_000
"""Up to so many are leased; more come as a stream of ranges."""

STREAM_S: Final = 600.0
"""How long a stream may take, printing included."""

_LINES: Final = 10_000


def next_(
    name: Name,
    *,
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, max=MAX_TAKEN, help="How many ids.")
    ] = 1,
    ranges: Annotated[
        bool, typer.Option("--ranges", help="Print ranges instead: first id, last id, step.")
    ] = False,
    create: Annotated[
        bool, typer.Option("--create", help="Create the sequence when there is none.")
    ] = False,
) -> None:
    """Take ids and print them, one a line. Ids once taken are not given again.

    For sequences of kind segment and strict. Many ids into a file show a bar.

    Examples: engine seq next shop.order -n 3

              engine seq next shop.order -n 5000000 > ids.txt

              engine seq next shop.order -n 5000000 --ranges
    """
    from engine.sequencer.v1 import sequencer_pb2 as pb

    with sequencer() as stub:
        if create and find(stub, name) is None:
            stub.CreateSequence(pb.CreateSequenceRequest(sequence=pb.Sequence(name=name)))
        taken = _leased(stub, name, count) if count <= FEW else _streamed(stub, name, count)
        for lease in _with_bar(taken, count):
            last = lease.first + (lease.size - 1) * lease.increment
            if ranges:
                print(f"{lease.first}\t{last}\t{lease.increment}")
            else:
                _print_ids(range(lease.first, last + lease.increment, lease.increment))


def peek(name: Name) -> None:
    """Print the id that comes next, without taking it.

    Of a segment it is where the next new range begins: clients hold lower ones
    ready. Of a gapless sequence it is the lowest number that nobody holds.

    Example: engine seq peek shop.order
    """
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub

    with connected() as channel:
        known = get(SequencerServiceStub(channel), name)
        kind = shown.kind(known)
        if kind == "snowflake":
            fail(
                f"'{name}' is of kind SNOWFLAKE: its ids are made from the time",
                f"'engine seq workers {name}' shows who makes them.",
            )
        found = next_of(channel, known) if kind == "gapless" else _next_value(known)
    if found is None:
        fail(
            f"'{name}' has no ids left",
            "Create a sequence with a higher --max, and have programs use that.",
        )
    typer.echo(found)


def _next_value(known: pb.Sequence) -> int | None:
    return known.next_value if known.HasField("next_value") else None


def _leased(stub: SequencerServiceStub, name: str, count: int) -> Iterator[pb.Lease]:
    from engine.sequencer.v1 import sequencer_pb2 as pb

    request = pb.LeaseRangeRequest(name=name, client_id=_client_id())
    while count:
        request.size = count
        lease = stub.LeaseRange(request).lease
        yield lease
        count -= lease.size
        request.last.CopyFrom(lease.witness)


def _streamed(stub: SequencerServiceStub, name: str, count: int) -> Iterator[pb.Lease]:
    from engine.sequencer.v1 import sequencer_pb2 as pb

    request = pb.StreamRangesRequest(name=name, client_id=_client_id(), count=count)
    for answer in stub.StreamRanges(request, timeout=STREAM_S):
        yield answer.lease


def _client_id() -> str:
    import secrets

    return f"cli-{secrets.token_hex(8)}"


def _print_ids(ids: range) -> None:
    """One a line, without a text of all of them in memory."""
    for begin in range(0, len(ids), _LINES):
        print("\n".join(map(str, ids[begin : begin + _LINES])))


def _with_bar(leases: Iterable[pb.Lease], count: int) -> Iterator[Any]:
    """The leases; a bar beside them when a person waits for many ids to reach a file."""
    if count <= FEW or sys.stdout.isatty() or not sys.stderr.isatty():
        yield from leases
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("ids", total=count)
        for lease in leases:
            yield lease
            bars.advance(task, lease.size)
