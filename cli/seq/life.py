"""Repair and end of a sequence: move its fence, drain it, retire it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.output import print_table
from cli.seq import arguments, shown
from cli.seq.arguments import INT64, Name, Yes
from cli.seq.connection import connected, get, paged, sequencer
from cli.seq.definitions import print_sequences
from cli.seq.numbers import print_runs
from cli.seq.periods import owners
from cli.seq.workers import print_workers

if TYPE_CHECKING:
    import grpc

    from engine.sequencer.v1 import sequencer_pb2 as pb
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub

NEWEST: Final = 1_000
"""Entries of a log that are looked through for ranges that did not come back."""

PERIODS: Final = 40
"""Newest periods of a serial whose logs are looked through."""

_HELD_HEADERS: Final = ("Sequence", "Client", "Entry", "First", "Last", "Ids", "Since")


def drain(
    name: Name,
    *,
    undo: Annotated[bool, typer.Option("--undo", help="Have it grant ids again.")] = False,
) -> None:
    """Have a sequence grant no more ids, and show what is still held.

    Ranges may still come back, reserved numbers may be confirmed. A client uses
    up what it holds; then it is refused.

    Examples: engine seq drain shop.order

              engine seq drain shop.order --undo
    """
    from engine.sequencer.v1 import sequencer_pb2 as pb
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub

    wanted = pb.SEQUENCE_STATE_ACTIVE if undo else pb.SEQUENCE_STATE_DRAINING
    with connected() as channel:
        stub = SequencerServiceStub(channel)
        found = _moved(stub, name, wanted)
        print_sequences([found])
        if not undo:
            _print_held(channel, found)


def retire(name: Name, *, yes: Yes = False) -> None:
    """End a drained sequence. It is kept, so that its ids can be looked up; there is no way back.

    Example: engine seq drain shop.order && engine seq retire shop.order
    """
    from engine.sequencer.v1 import sequencer_pb2 as pb
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub

    if not yes:
        arguments.confirm(f"Retire '{name}' for ever?")
    with connected() as channel:
        stub = SequencerServiceStub(channel)
        print_sequences([_moved(stub, name, pb.SEQUENCE_STATE_RETIRED)])


def fence(
    name: Name,
    *,
    at_least: Annotated[
        int, typer.Option(parser=INT64, help="The last id that may have been used.")
    ],
    yes: Yes = False,
) -> None:
    """Jump over all ids up to one, which may have been used: they are never granted.

    For a store that was put back to an older copy while nobody was left who
    knows how far the sequence had come. While a server's journal or a client
    that holds ids is left, the jump happens by itself, and 'engine seq audit
    NAME --fences' shows it. The highest id in the tables that use the sequence
    is where to begin; docs/howto/sequencer.md has the rest. Ids that were granted
    and not used are given up, also when the sequence has come further already.

    Example: engine seq fence shop.order --at-least 250000
    """
    from engine.sequencer.v1 import sequencer_pb2 as pb

    with sequencer() as stub:
        known = get(stub, name)
        if not yes:
            where = str(known.next_value) if known.HasField("next_value") else "nothing"
            typer.echo(f"'{name}' would grant {where} next.", err=True)
            typer.echo("What is jumped over is lost; it cannot be undone.", err=True)
            arguments.confirm(f"Jump over all ids up to {at_least}?")
        request = pb.FenceSequenceRequest(name=name, at_least=at_least)
        after = stub.FenceSequence(request).sequence
    typer.echo(f"'{name}' {_fenced(known, after, at_least)}.")


def _fenced(before: pb.Sequence, after: pb.Sequence, at_least: int) -> str:
    """What a fence came to."""
    if after.epoch == before.epoch:
        return f"is behind {at_least} already; nothing was changed"
    if not after.HasField("next_value"):
        return f"has no ids left to grant; epoch {after.epoch}"
    if after.next_value == before.next_value:
        return (
            f"was behind {at_least} already, and goes on with {after.next_value}; what clients"
            f" hold or have returned is given up; epoch {after.epoch}"
        )
    return f"goes on with {after.next_value}; epoch {after.epoch}"


def _moved(stub: SequencerServiceStub, name: str, state: pb.SequenceState.ValueType) -> pb.Sequence:
    from engine.sequencer.v1 import sequencer_pb2 as pb

    return stub.SetSequenceState(pb.SetSequenceStateRequest(name=name, state=state)).sequence


def _print_held(channel: grpc.Channel, found: pb.Sequence) -> None:
    """What clients may still use, as far as the sequencer can tell."""
    match shown.kind(found):
        case "segment":
            names = _with_periods(channel, found)
            rows = (row for name in names for row in _ranges_out(channel, name))
            print_table(_HELD_HEADERS, rows, title="Newest range of each client, not returned")
        case "gapless":
            _print_reserved(channel, found.name)
        case "snowflake":
            print_workers(channel, found.name)


def _with_periods(channel: grpc.Channel, found: pb.Sequence) -> list[str]:
    """A sequence, and the newest periods of it when it is a serial that begins anew."""
    from engine.sequencer.v1 import sequencer_pb2 as pb
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub

    if found.serial.reset == pb.SERIAL_RESET_UNSPECIFIED:
        return [found.name]
    stub = SequencerServiceStub(channel)
    listed = [*paged(stub.ListSequences, pb.ListSequencesRequest(), "sequences")]
    periods = [name for name, owner in owners(stub, listed).items() if owner == found.name]
    periods.sort(key=lambda name: name.partition("@")[2])
    return [found.name, *periods[-PERIODS:]]


def _ranges_out(channel: grpc.Channel, name: str) -> list[tuple[str, ...]]:
    """The newest lease of each client, unless its tail came back or was told lost.

    A client uses its leases in their order. So it has none left from before one that ended.
    """
    from engine.sequencer.v1 import sequencer_pb2 as pb
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub

    ends = (pb.LEASE_ACTION_RETURNED, pb.LEASE_ACTION_LOST)
    request = pb.ListLeasesRequest(name=name, actions=[pb.LEASE_ACTION_GRANTED, *ends])
    stub = SequencerServiceStub(channel)
    ended: set[int] = set()
    seen: set[str] = set()
    rows = []
    for entry in paged(stub.ListLeases, request, "leases", limit=NEWEST):
        if entry.action in ends:
            ended.add(entry.source_number)
        elif entry.client_id not in seen:
            seen.add(entry.client_id)
            if entry.lease_number not in ended:
                rows.append((name, *_held_row(entry)))
    return rows


def _held_row(entry: pb.Lease) -> tuple[str, ...]:
    return (
        shown.plain(entry.client_id),
        str(entry.lease_number),
        str(entry.first),
        str(entry.first + (entry.size - 1) * entry.increment),
        shown.amount(entry.size),
        shown.moment(entry.lease_time),
    )


def _print_reserved(channel: grpc.Channel, name: str) -> None:
    from engine.sequencer.v1 import gapless_pb2 as pb
    from engine.sequencer.v1.gapless_pb2_grpc import GaplessServiceStub

    stub = GaplessServiceStub(channel)
    gaps = paged(stub.GetGapReport, pb.GetGapReportRequest(name=name), "gaps")
    held = (run for run in gaps if run.state == pb.NUMBER_STATE_RESERVED)
    print_runs(held, "Reserved and not confirmed")
