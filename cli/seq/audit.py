"""Who got which ids when: the log of a sequence, and its settings."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.output import fail, print_table
from cli.seq import numbers, shown, workers
from cli.seq.arguments import INT64, Name
from cli.seq.connection import connected, get, paged

if TYPE_CHECKING:
    from engine.sequencer.v1 import sequencer_pb2 as pb
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub

MOST: Final = 1_000_000
"""Most entries that `audit` shows."""

_LOG_HEADERS: Final = ("Entry", "Did", "First", "Last", "Ids", "Client", "Of entry", "Time", "Note")
_FENCE_HEADERS: Final = ("Entry", "Epoch", "Ids jumped", "From id", "Witness", "Time")
_USAGE_HEADERS: Final = ("Caller", "Ranges", "Granted", "Returned", "Used")

_MEANINGLESS: Final = {
    "gapless": ("ids returned",),
    "snowflake": (
        *("start", "lowest id", "highest id", "increment", "begins again", "next id"),
        *("ids left", "days left", "ids returned", "fence jumps"),
    ),
}
"""Settings that nothing is true of in a kind of sequence."""

_When = Annotated[
    str, typer.Option(metavar="TIME", help="2026-11-26, 2026-11-26T09:30, or 2h, 7d ago.")
]


def inspect(
    name: Name,
    id_: Annotated[
        int | None,
        typer.Argument(parser=INT64, metavar="[ID]", help="Show who got this id, instead."),
    ] = None,
) -> None:
    """Show all there is to a sequence; or, of one id, who got it and all that became of it.

    Of a snowflake an id is taken apart: when it was made and by whom. Of a
    gapless sequence the reservation of the number is shown.

    Examples: engine seq inspect shop.order

              engine seq inspect shop.order 4711
    """
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub

    with connected() as channel:
        stub = SequencerServiceStub(channel)
        known = get(stub, name)
        match None if id_ is None else shown.kind(known):
            case None:
                print_table(("Setting", "Value"), _settings(known), title=name)
            case "snowflake":
                workers.decode(channel, name, id_ or 0)
            case "gapless":
                numbers.history(channel, known, id_ or 0)
            case _:
                _print_history(stub, known, id_ or 0)


def audit(
    name: Name,
    *,
    id_: Annotated[
        int | None, typer.Option("--id", parser=INT64, help="What became of this id.")
    ] = None,
    caller: Annotated[str, typer.Option(help="Of this caller: 'mesh:action'.")] = "",
    since: _When = "",
    until: _When = "",
    fences: Annotated[
        bool, typer.Option("--fences", help="Only jumps of the fence, with their witnesses.")
    ] = False,
    usage: Annotated[
        bool, typer.Option("--usage", help="How many ids each caller took (of the last day).")
    ] = False,
    limit: Annotated[int, typer.Option("-n", min=1, max=MOST, help="Most entries.")] = 100,
) -> None:
    """Show the log of a sequence, newest first: which client got which range when.

    The log is what allocates, so it is complete for as long as it is kept. Of a
    serial that begins anew each period has a log of its own:
    'loan.contract@20261126'. Of a gapless sequence it shows its numbers, the
    last ones first: who has them since when, by which reservation ("of entry").

    Examples: engine seq audit shop.order --caller mesh:action --since 2026-11-26

              engine seq audit shop.order --usage --since 7d

              engine seq audit shop.order --fences
    """
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub

    if id_ is not None and (caller or since or until or fences or usage):
        fail("--id goes with no other filter", "Give it alone, or 'inspect NAME ID'.", code=2)
    if usage and (caller or fences):
        fail("--usage is of all callers", "Give --since and --until with it.", code=2)
    with connected() as channel:
        stub = SequencerServiceStub(channel)
        known = get(stub, name)
        if is_gapless := shown.kind(known) == "gapless":
            _refuse_ranges(name, is_asked=fences or usage)
        if id_ is not None and is_gapless:
            _print_log(numbers.entries(channel, known.name, id_), known.name)
        elif id_ is not None:
            _print_history(stub, known, id_)
        elif usage:
            _print_usage(stub, name, since, until)
        else:
            request = _log_request(name, caller, since, until, fences=fences)
            found = paged(stub.ListLeases, request, "leases", limit=limit)
            if fences:
                print_table(_FENCE_HEADERS, map(_fence_row, found), title=name)
                return
            of_numbers = numbers.log(channel, request) if is_gapless else ()
            _print_log(islice(chain(of_numbers, map(log_row, found)), limit), name)


def log_row(entry: pb.Lease) -> tuple[str, ...]:
    """An entry of a log, as a line of a table."""
    first, last = _ends(entry)
    return (
        str(entry.lease_number),
        _did(entry),
        first,
        last,
        shown.amount(entry.size) if entry.size else "-",
        shown.plain(entry.client_id),
        str(entry.source_number or "-"),
        shown.moment(entry.lease_time),
        shown.plain(entry.note) or "-",
    )


def _fence_row(entry: pb.Lease) -> tuple[str, ...]:
    return (
        str(entry.lease_number),
        str(entry.witness.epoch),
        shown.amount(entry.size),
        _ends(entry)[0],
        shown.plain(entry.note),
        shown.moment(entry.lease_time),
    )


def _usage_row(one: pb.Usage) -> tuple[str, ...]:
    counts = (one.leases, one.granted, one.returned, one.granted - one.returned)
    return (shown.plain(one.caller), *map(shown.amount, counts))


def _ends(entry: pb.Lease) -> tuple[str, str]:
    if not entry.size:
        return "-", "-"
    return str(entry.first), str(entry.first + (entry.size - 1) * entry.increment)


def _did(entry: pb.Lease) -> str:
    from engine.sequencer.v1 import sequencer_pb2 as pb

    return shown.word(pb.LeaseAction.Name(entry.action), "LEASE_ACTION_")


def _print_history(stub: SequencerServiceStub, known: pb.Sequence, id_: int) -> None:
    from engine.sequencer.v1 import sequencer_pb2 as pb

    request = pb.ListLeasesRequest(name=known.name, id=id_)
    found = list(paged(stub.ListLeases, request, "leases"))
    if not found:
        fail(
            f"the log of '{known.name}' has nothing about {id_}",
            f"'engine seq peek {known.name}' shows how far it is; entries are kept"
            f" for {known.retention_days} days.",
        )
    _print_log(map(log_row, found), f"{known.name} {id_}")


def _print_log(rows: Iterable[tuple[str, ...]], title: str) -> None:
    print_table(_LOG_HEADERS, rows, title=title, styles=shown.STYLES)


def _refuse_ranges(name: str, *, is_asked: bool) -> None:
    if is_asked:
        fail(
            f"the numbers of '{name}' are in no log of ranges",
            f"'engine seq gaps {name} --counts' counts them, those in doubt among them.",
            code=2,
        )


def _print_usage(stub: SequencerServiceStub, name: str, since: str, until: str) -> None:
    from engine.sequencer.v1 import sequencer_pb2 as pb

    request = pb.GetUsageRequest(name=name)
    _set_times(request, since, until)
    print_table(_USAGE_HEADERS, map(_usage_row, stub.GetUsage(request).usage), title=name)


def _log_request(
    name: str, caller: str, since: str, until: str, *, fences: bool
) -> pb.ListLeasesRequest:
    from engine.sequencer.v1 import sequencer_pb2 as pb

    request = pb.ListLeasesRequest(name=name, caller=caller)
    _set_times(request, since, until)
    if fences:
        request.actions.append(pb.LEASE_ACTION_FENCED)
    return request


def _set_times(request: Any, since: str, until: str) -> None:
    now = datetime.now(UTC)
    if since:
        request.from_time.FromDatetime(shown.when(since, now))
    if until:
        request.until_time.FromDatetime(shown.when(until, now))


def _settings(known: pb.Sequence) -> list[tuple[str, str]]:
    kind = shown.kind(known)
    meaningless = _MEANINGLESS.get(kind, ())
    rows = [
        ("kind", kind),
        ("state", shown.state(known)),
        ("start", str(known.start)),
        ("lowest id", str(known.min_value)),
        ("highest id", str(known.max_value)),
        ("increment", str(known.increment)),
        ("begins again", "yes" if known.cycle else "no"),
        ("next id", str(known.next_value) if known.HasField("next_value") else "none"),
        ("ids left", shown.amount(known.remaining) if known.HasField("remaining") else "-"),
        ("days left", shown.days(known) or "-"),
        ("ids returned", shown.amount(known.returned)),
        ("entries", shown.amount(known.lease_number)),
        ("fence jumps", str(known.epoch)),
        ("days kept", str(known.retention_days)),
        ("callers", shown.plain(", ".join(one.name for one in known.callers)) or "all"),
        ("created", shown.moment(known.create_time)),
    ]
    told = [(name, "-" if name in meaningless else value) for name, value in rows]
    return [*told, *_serial(known), *_layout(known)]


def _serial(known: pb.Sequence) -> list[tuple[str, str]]:
    from engine.sequencer.v1 import sequencer_pb2 as pb

    if not known.HasField("serial"):
        return []
    reset = shown.word(pb.SerialReset.Name(known.serial.reset), "SERIAL_RESET_")
    return [
        ("serial", known.serial.template),
        ("zone", known.serial.zone or "-"),
        ("begins anew", "never" if reset == "unspecified" else f"each {reset}"),
    ]


def _layout(known: pb.Sequence) -> list[tuple[str, str]]:
    if not known.HasField("layout"):
        return []
    layout = known.layout
    bits = f"{layout.time_bits}:{layout.worker_bits}:{layout.sequence_bits}:{layout.tick_ms}"
    return [("layout", bits), ("epoch", shown.moment(layout.epoch_time))]
