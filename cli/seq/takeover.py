"""Taking over from another store: its ids are read twice before ours begin above them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.output import fail, print_table, terminal
from cli.seq import arguments, shown
from cli.seq.arguments import INT64, Kind, Name
from cli.seq.connection import connected, find, sequencer
from cli.seq.definitions import print_sequences

if TYPE_CHECKING:
    import grpc

    from cli.seq.old_store import OldIds, Reading
    from engine.sequencer.v1 import sequencer_pb2 as pb

MAX_WAIT_S: Final = 3_600.0
DAY_S: Final = 86_400.0
ROOM: Final = 1_000
"""Least distance of a start that is suggested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """How far the old ids had come, twice, so many seconds apart."""

    first: Reading
    second: Reading
    wait_s: float

    @property
    def maximum(self) -> int | None:
        """The highest id of both; None when there is none."""
        found = [one.maximum for one in (self.first, self.second) if one.maximum is not None]
        return max(found, default=None)

    @property
    def rise(self) -> int:
        """By how much the ids rose meanwhile."""
        return (self.second.maximum or 0) - (self.first.maximum or 0)

    def start(self) -> int:
        """A start above all of it: room for a day at this pace, to two digits."""
        pace = max(self.rise, 0) / max(self.wait_s, 1.0)
        upcoming = self.second.upcoming or 0
        least = max(self.maximum or 0, upcoming) + max(ROOM, int(pace * DAY_S))
        step: int = 10 ** max(len(str(least)) - 2, 0)
        return -(-least // step) * step


def read_twice(old: OldIds, wait_s: float, wait: Callable[[float], None]) -> Readings:
    """Read how far ids have come, wait, and read again.

    Raises:
        OldStoreError: it cannot be read.
    """
    first = old.read()
    wait(wait_s)
    return Readings(first=first, second=old.read(), wait_s=wait_s)


def import_(
    name: Name,
    *,
    source: Annotated[
        str,
        typer.Option(
            "--from", metavar="URL", help="mysql://user@host:port/database or sqlite:///path."
        ),
    ],
    start: Annotated[
        int, typer.Option(parser=INT64, help="First id here; above all that there are.")
    ],
    table: Annotated[str, typer.Option(help="Table that holds the ids.")] = "",
    column: Annotated[str, typer.Option(help="Its column.")] = "",
    sequence: Annotated[str, typer.Option(help="Or a SEQUENCE of MariaDB or TiDB.")] = "",
    wait: Annotated[
        float, typer.Option(min=0, max=MAX_WAIT_S, help="Seconds between the two readings.")
    ] = 5.0,
    kind: Annotated[Kind, typer.Option(help="As of 'create'.")] = Kind.SEGMENT,
    js: Annotated[bool, typer.Option("--js", help="No id above 2^53 - 1.")] = False,
    password_file: Annotated[
        Path | None, typer.Option(help="Holds the password; else MYSQL_PWD does.")
    ] = None,
) -> None:
    """Take over from a table or sequence of another database: ours begins above its ids.

    Reads the highest id twice, and refuses unless both lie below --start. Stop
    what takes ids there before anything takes them here; until then leave room
    for what it still takes.

    Examples: engine seq import shop.order --start 500000

                --from mysql://shop@db:3306/shop --table orders --column id

              engine seq import shop.order --start 500000

                --from mysql://shop@db:3306/shop --sequence order_ids
    """
    from cli.seq.old_store import OldStoreError, Place, opened

    if bool(sequence) is (bool(table) and bool(column)) or bool(table) is not bool(column):
        fail("say where the ids are", "Give --table and --column, or --sequence.", code=2)
    if kind is Kind.SNOWFLAKE:
        fail("a snowflake has no start: its ids are made from the time", code=2)
    _refuse_used(name)
    place = Place(name=sequence) if sequence else Place(name=table, column=column)
    try:
        readings = read_twice(opened(source, place, password_file), wait, _pause)
    except OldStoreError as error:
        fail(str(error), error.next_step)
    _print_readings(readings)
    _check(readings, start)
    _create(name, start, kind, js=js)


def _refuse_used(name: str) -> None:
    """End the program when the sequence has granted ids: there is nothing to take over."""
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub

    with connected() as channel:
        known = find(SequencerServiceStub(channel), name)
        if known is not None and _has_granted(channel, known):
            fail(
                f"'{name}' has granted ids already",
                "Import into a new sequence; to jump over ids, 'engine seq fence' is there.",
            )


def _has_granted(channel: grpc.Channel, known: pb.Sequence) -> bool:
    """Whether anybody got ids; of a snowflake nobody knows, and its kind is refused later."""
    from engine.sequencer.v1 import gapless_pb2
    from engine.sequencer.v1.gapless_pb2_grpc import GaplessServiceStub

    match shown.kind(known):
        case "gapless":
            request = gapless_pb2.GetGapReportRequest(name=known.name, page_size=1)
            counts = GaplessServiceStub(channel).GetGapReport(request).counts
            return any(one.count for one in counts)
        case "snowflake":
            return False
    return not known.HasField("next_value") or known.next_value != known.start


def _pause(seconds: float) -> None:
    if terminal() and seconds >= 1:
        typer.echo(f"Reading again in {seconds:g} s …", err=True)
    time.sleep(seconds)


def _print_readings(readings: Readings) -> None:
    both = (("first", readings.first), ("second", readings.second))
    print_table(
        ("Reading", "Highest id", "Next id there"),
        [(which, _number(one.maximum), _number(one.upcoming)) for which, one in both],
    )


def _number(found: int | None) -> str:
    return "-" if found is None else str(found)


def _check(readings: Readings, start: int) -> None:
    """End the program unless all ids lie below the start; warn of what may still come near."""
    if (highest := readings.maximum) is not None and highest >= start:
        fail(
            f"the highest id there is {highest}, {shown.amount(highest - start + 1)} too high"
            f" for --start {start}",
            f"--start {readings.start()} leaves room.",
        )
    if readings.rise > 0:
        pace = readings.rise / max(readings.wait_s, 1.0)
        left = start - (highest or 0)
        _warn(
            f"ids are still taken there: {readings.rise} within {readings.wait_s:g} s."
            f" At that pace they reach {start} in {left / pace / 3600:,.1f} hours."
            " Stop that before anything takes ids here."
        )
    upcoming = readings.second.upcoming
    if upcoming is not None and upcoming > start:
        _warn(
            f"the store would give {upcoming} next, above --start {start}: ids may have been"
            " given and deleted, and would be given anew here. If that matters, have programs"
            f" use another sequence, with --start {upcoming} or more."
        )


def _warn(text: str) -> None:
    typer.secho(f"engine: {text}", fg=typer.colors.YELLOW, err=True)


def _create(name: str, start: int, kind: Kind, *, js: bool) -> None:
    from engine.sequencer.v1 import sequencer_pb2 as pb

    wanted = pb.Sequence(
        name=name,
        kind=kind.message,
        start=start,
        max_value=arguments.js_max(None) if js else None,
    )
    with sequencer() as stub:
        print_sequences([stub.CreateSequence(pb.CreateSequenceRequest(sequence=wanted)).sequence])
