"""Numbers without gaps: reserve and confirm them, see which are missing, void them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.output import fail, print_table
from cli.seq import arguments, shown
from cli.seq.arguments import INT64, POSITIVE, Name, Yes
from cli.seq.connection import connected, paged

if TYPE_CHECKING:
    import grpc

    from engine.sequencer.v1 import gapless_pb2 as pb
    from engine.sequencer.v1 import sequencer_pb2
    from engine.sequencer.v1.gapless_pb2_grpc import GaplessServiceStub

MAX_NUMBERS: Final = 1_000
"""Most numbers that one command reserves or voids."""

_HEADERS: Final = (
    *("First", "Last", "Numbers", "State", "Since", "Expires", "Reservation", "Holder", "Reason"),
)

Reservation = Annotated[int, typer.Argument(parser=POSITIVE, help="As 'reserve' printed it.")]
Token = Annotated[int, typer.Argument(parser=POSITIVE, help="As 'reserve' printed it.")]
Chosen = Annotated[
    list[int] | None,
    typer.Argument(parser=INT64, metavar="[NUMBER]...", help="Of the reservation; all by default."),
]


def reserve(
    name: Name,
    *,
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, max=MAX_NUMBERS, help="How many.")
    ] = 1,
    ttl: Annotated[
        float, typer.Option(min=1, max=86_400, help="Seconds that they are held for you.")
    ] = 60,
) -> None:
    """Reserve numbers of a gapless sequence: use them, then confirm or release them.

    What is neither comes back when the time is over, and is given to somebody
    else.

    Example: engine seq reserve shop.invoice -n 2 --ttl 600
    """
    import secrets

    from engine.sequencer.v1 import gapless_pb2 as pb

    request = pb.ReserveNumbersRequest(
        name=name, count=count, client_id=f"cli-{secrets.token_hex(8)}"
    )
    request.ttl.FromMilliseconds(int(ttl * 1_000))
    with _gapless() as stub:
        made = stub.ReserveNumbers(request).reservation
    held = (str(made.reservation), str(made.token), shown.moment(made.expire_time))
    print_table(
        ("Number", "Reservation", "Token", "Expires"),
        ((str(number), *held) for number in made.numbers),
    )


def confirm(name: Name, reservation: Reservation, token: Token, numbers: Chosen = None) -> None:
    """Declare reserved numbers used. Once more does nothing.

    Example: engine seq confirm shop.invoice 7 4711
    """
    from engine.sequencer.v1 import gapless_pb2 as pb

    request = pb.ConfirmNumbersRequest(
        name=name, reservation=reservation, token=token, numbers=numbers or ()
    )
    with _gapless() as stub:
        typer.echo("\n".join(map(str, stub.ConfirmNumbers(request).numbers)))


def release(name: Name, reservation: Reservation, token: Token, numbers: Chosen = None) -> None:
    """Give reserved numbers back; the next who asks gets the lowest of them.

    Example: engine seq release shop.invoice 7 4711
    """
    from engine.sequencer.v1 import gapless_pb2 as pb

    request = pb.ReleaseNumbersRequest(
        name=name, reservation=reservation, token=token, numbers=numbers or ()
    )
    with _gapless() as stub:
        typer.echo("\n".join(map(str, stub.ReleaseNumbers(request).numbers)))


def gaps(
    name: Name,
    *,
    date: Annotated[str, typer.Option(metavar="DATE", help="Of this business date.")] = "",
    counts: Annotated[
        bool, typer.Option("--counts", help="How many numbers are in each state, instead.")
    ] = False,
) -> None:
    """Show every number that is not confirmed: who holds it since when, what is void and why.

    The daily report: an empty one says that every number given out was used.

    Examples: engine seq gaps shop.invoice --date 2026-11-26

              engine seq gaps shop.invoice --counts
    """
    from engine.sequencer.v1 import gapless_pb2 as pb

    request = pb.GetGapReportRequest(name=name)
    if date:
        request.business_date = arguments.day(date).isoformat()
    with _gapless() as stub:
        if counts:
            found = stub.GetGapReport(request).counts
            rows = ((_state(one.state), shown.amount(one.count)) for one in found)
            print_table(("State", "Numbers"), rows, title=name, styles=shown.STYLES)
        else:
            print_runs(paged(stub.GetGapReport, request, "gaps"), name)


def voids(name: Name) -> None:
    """Show the numbers that were declared void, by whom and why.

    Example: engine seq voids shop.invoice
    """
    from engine.sequencer.v1 import gapless_pb2 as pb

    with _gapless() as stub:
        print_runs(paged(stub.ListVoids, pb.ListVoidsRequest(name=name), "voids"), name)


def void(
    name: Name,
    numbers: Annotated[list[int], typer.Argument(parser=INT64, help="Each was given out once.")],
    *,
    reason: Annotated[str, typer.Option(help="Why; auditors read it.")],
    yes: Yes = False,
) -> None:
    """Declare numbers void: they are never given out again. There is no way back.

    Example: engine seq void shop.invoice 4711 --reason 'form spoiled at the printer'
    """
    from engine.sequencer.v1 import gapless_pb2 as pb

    if not yes:
        arguments.confirm(f"Declare {len(numbers)} number(s) of '{name}' void for ever?")
    request = pb.VoidNumbersRequest(name=name, numbers=numbers, reason=reason)
    with _gapless() as stub:
        stub.VoidNumbers(request)
        print_runs(paged(stub.ListVoids, pb.ListVoidsRequest(name=name), "voids"), name)


def next_of(channel: grpc.Channel, known: sequencer_pb2.Sequence) -> int | None:
    """The lowest number that a gapless sequence would give next; None when there is none."""
    from engine.sequencer.v1 import gapless_pb2 as pb
    from engine.sequencer.v1.gapless_pb2_grpc import GaplessServiceStub

    stub = GaplessServiceStub(channel)
    request = pb.GetGapReportRequest(name=known.name)
    for run in paged(stub.GetGapReport, request, "gaps"):
        if run.state in (pb.NUMBER_STATE_RELEASED, pb.NUMBER_STATE_EXPIRED):
            return int(run.first)
    issued = known.start + _issued(stub, known.name) * known.increment
    return issued if known.min_value <= issued <= known.max_value else None


def history(channel: grpc.Channel, known: sequencer_pb2.Sequence, number: int) -> None:
    """Show what became of a number; ends the program when nobody ever got it."""
    from engine.sequencer.v1.gapless_pb2_grpc import GaplessServiceStub

    print_runs(iter(_of(GaplessServiceStub(channel), known.name, number)), known.name)


def entries(channel: grpc.Channel, name: str, number: int) -> Iterator[tuple[str, ...]]:
    """What became of a number, as lines of a log; ends the program when nobody ever got it."""
    from engine.sequencer.v1.gapless_pb2_grpc import GaplessServiceStub

    return map(_entry, _of(GaplessServiceStub(channel), name, number))


def log(channel: grpc.Channel, like: sequencer_pb2.ListLeasesRequest) -> Iterator[tuple[str, ...]]:
    """What became of all numbers that a request for a log is about, the last ones first."""
    from engine.sequencer.v1 import gapless_pb2 as pb
    from engine.sequencer.v1.gapless_pb2_grpc import GaplessServiceStub

    request = pb.GetGapReportRequest(name=like.name, all=True)
    for bound in ("from_time", "until_time"):
        if like.HasField(bound):
            getattr(request, bound).CopyFrom(getattr(like, bound))
    for run in paged(GaplessServiceStub(channel).GetGapReport, request, "gaps"):
        if like.caller in ("", run.holder.partition("/")[0]):
            yield _entry(run)


def print_runs(runs: Iterator[pb.NumberRun], title: str) -> None:
    """Show runs of numbers, one a line."""
    print_table(_HEADERS, map(_row, runs), title=title, styles=shown.STYLES)


def _issued(stub: GaplessServiceStub, name: str) -> int:
    from engine.sequencer.v1 import gapless_pb2 as pb

    request = pb.GetGapReportRequest(name=name, page_size=1)
    return sum(one.count for one in stub.GetGapReport(request).counts)


def _of(stub: GaplessServiceStub, name: str, number: int) -> Sequence[pb.NumberRun]:
    from engine.sequencer.v1 import gapless_pb2 as pb

    request = pb.GetGapReportRequest(name=name, number=number)
    found = stub.GetGapReport(request).gaps
    if not found:
        fail(
            f"'{name}' has not given out {number}",
            f"'engine seq peek {name}' shows how far it is.",
        )
    return found


def _entry(run: pb.NumberRun) -> tuple[str, ...]:
    return (
        "-",
        _state(run.state),
        str(run.first),
        str(run.last),
        shown.amount(run.size),
        shown.plain(run.holder),
        str(run.reservation or "-"),
        shown.moment(run.since_time),
        shown.plain(run.reason) or "-",
    )


def _row(run: pb.NumberRun) -> tuple[str, ...]:
    has_since, has_lease = run.HasField("since_time"), bool(run.reservation)
    return (
        str(run.first),
        str(run.last),
        shown.amount(run.size),
        _state(run.state),
        shown.moment(run.since_time) if has_since else "-",
        shown.moment(run.expire_time) if has_lease and run.HasField("expire_time") else "-",
        str(run.reservation or "-"),
        shown.plain(run.holder) or "-",
        shown.plain(run.reason) or "-",
    )


def _state(state: pb.NumberState.ValueType) -> str:
    from engine.sequencer.v1 import gapless_pb2 as pb

    return shown.word(pb.NumberState.Name(state), "NUMBER_STATE_")


@contextmanager
def _gapless() -> Iterator[GaplessServiceStub]:
    from engine.sequencer.v1.gapless_pb2_grpc import GaplessServiceStub

    with connected() as channel:
        yield GaplessServiceStub(channel)
