"""What sequences there are: create, list, rename, and who may take from them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import fail, print_table
from cli.seq import arguments, shown
from cli.seq.arguments import INCREMENT, INT64, Kind, Name, Reset, Yes
from cli.seq.connection import get, paged, sequencer
from cli.seq.periods import owners

if TYPE_CHECKING:
    from engine.sequencer.v1 import sequencer_pb2 as pb

_HEADERS = ("Name", "Kind", "State", "Next id", "Left", "Days left")


def create(
    name: Name,
    *,
    kind: Annotated[
        Kind,
        typer.Option(
            help="segment: unique, fastest. strict: increasing over all clients."
            " gapless: every number used or accounted for. snowflake: ordered by time."
        ),
    ] = Kind.SEGMENT,
    start: Annotated[
        int | None, typer.Option(parser=INT64, help="First id; --min by default.")
    ] = None,
    min_value: Annotated[
        int | None, typer.Option("--min", parser=INT64, help="Lowest id: 1.")
    ] = None,
    max_value: Annotated[
        int | None, typer.Option("--max", parser=INT64, help="Highest id: 2^63 - 1.")
    ] = None,
    increment: Annotated[
        int, typer.Option(parser=INCREMENT, help="From one id to the next; may be negative.")
    ] = 1,
    cycle: Annotated[bool, typer.Option("--cycle", help="Begin again at the end.")] = False,
    js: Annotated[
        bool, typer.Option("--js", help="No id above 2^53 - 1: safe in JavaScript.")
    ] = False,
    caller: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[=QUOTA]", help="Who alone may take ids, how many a day."),
    ] = None,
    serial: Annotated[
        str, typer.Option(metavar="TEMPLATE", help="'LN{date:%Y%m%d}{number:08}{check:luhn}'")
    ] = "",
    zone: Annotated[
        str, typer.Option(help="Dates serials without a business date: 'Asia/Shanghai'.")
    ] = "",
    reset: Annotated[Reset, typer.Option(help="When serials begin anew.")] = Reset.NEVER,
    layout: Annotated[
        str, typer.Option(metavar="TIME:WORKER:SEQ[:MS]", help="Bits of a snowflake: 41:10:12.")
    ] = "",
    epoch: Annotated[
        str, typer.Option(metavar="DATE", help="When a snowflake's time begins: 2026-01-01.")
    ] = "",
    retention: Annotated[
        int, typer.Option(min=0, max=36_500, help="Days that the log is kept: 400, strict 30.")
    ] = 0,
) -> None:
    """Create a sequence; once more with the same settings changes nothing.

    What makes an id cannot be changed later, so choose start, end and kind with
    care.

    Examples: engine seq create shop.order --start 1000 --js

              engine seq create shop.invoice --kind gapless

              engine seq create task.queue --kind strict --caller mesh:action=100000

    Serials: engine seq create loan.contract --reset day --zone Asia/Shanghai

               --serial 'LN{date:%Y%m%d}{number:06}{check:luhn}'
    """
    from engine.sequencer.v1 import sequencer_pb2 as pb

    if increment == 0:  # in the contract that is no increment at all, and so 1
        fail("--increment 0 would give the same id for ever", "1 is the default.", code=2)
    if (layout or epoch) and kind is not Kind.SNOWFLAKE:
        fail("--layout and --epoch belong to --kind snowflake", code=2)
    if (zone or reset is not Reset.NEVER) and not serial:
        fail("--zone and --reset belong to --serial", code=2)
    is_snowflake = kind is Kind.SNOWFLAKE
    wanted = pb.Sequence(
        name=name,
        kind=kind.message,
        start=start,
        min_value=min_value,
        max_value=arguments.js_max(max_value) if js and not (is_snowflake or serial) else max_value,
        increment=increment,
        cycle=cycle,
        callers=map(arguments.caller, caller or ()),
        serial=arguments.serial(serial, zone, reset) if serial else None,
        layout=arguments.layout(layout, epoch, js=js) if is_snowflake else None,
        retention_days=retention,
    )
    with sequencer() as stub:
        made = stub.CreateSequence(pb.CreateSequenceRequest(sequence=wanted)).sequence
    print_sequences([made])
    _refuse_other_settings(made, wanted)


def _refuse_other_settings(made: pb.Sequence, wanted: pb.Sequence) -> None:
    """Say so when the sequence was there before, and what may change about it is different."""
    kept = {one.name: one.daily_quota for one in made.callers}
    asked = {one.name: one.daily_quota for one in wanted.callers}
    if asked and kept != asked:
        hint = f"'engine seq callers {made.name}' shows and changes them."
        fail(f"'{made.name}' was there already, with other callers", hint)
    if wanted.retention_days and made.retention_days != wanted.retention_days:
        kept_for = f"It keeps entries for {made.retention_days} days"
        hint = f"{kept_for}; PATCH /v1/sequences/{made.name} changes that."
        fail(f"'{made.name}' was there already, with another retention", hint)


def list_(
    prefix: Annotated[str, typer.Argument(help="Only names that begin so: 'shop.'.")] = "",
    *,
    days: Annotated[
        bool, typer.Option("--days", help="Work out how many days the ids last, too.")
    ] = False,
    periods: Annotated[
        bool, typer.Option("--periods", help="The periods of serials, too: 'loan@20261126'.")
    ] = False,
) -> None:
    """Show sequences by name: kind, state, next id, and how many ids are left.

    'engine seq inspect NAME' shows all there is to one.

    Examples: engine seq list shop. --days

              engine seq list | cut -f1,4
    """
    from engine.sequencer.v1 import sequencer_pb2 as pb

    with sequencer() as stub:
        listed = [*paged(stub.ListSequences, pb.ListSequencesRequest(), "sequences")]
        owner = owners(stub, listed) if periods else {}
        found = [
            one
            for one in listed
            if (periods or "@" not in one.name)
            and (one.name.startswith(prefix) or owner.get(one.name, one.name).startswith(prefix))
        ]
        print_sequences([get(stub, one.name) for one in found] if days else found)


def rename(
    name: Name, new_name: Annotated[str, typer.Argument(help="A name that none has or had.")]
) -> None:
    """Give a sequence another name. The old one goes on leading to it, for ever.

    So programs may be changed one after another. Ids go on where they were.

    Example: engine seq rename shop.order shop.purchase
    """
    from engine.sequencer.v1 import sequencer_pb2 as pb

    with sequencer() as stub:
        request = pb.RenameSequenceRequest(name=name, new_name=new_name)
        print_sequences([stub.RenameSequence(request).sequence])


def callers(
    name: Name,
    *,
    add: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[=QUOTA]", help="May take ids from now on, so many a day."),
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="May take none from now on.")
    ] = None,
    yes: Yes = False,
) -> None:
    """Show or change who may take ids, and how many within a day (UTC).

    While nobody is named, all who hold the permission may; once somebody is,
    nobody else. A service is 'mesh:NAME', a user is named by his id. Adding one
    anew changes his quota.

    Examples: engine seq callers shop.order

              engine seq callers shop.order --add mesh:action=100000 --remove mesh:review
    """
    from engine.sequencer.v1 import sequencer_pb2 as pb

    added = {one.name: one for one in map(arguments.caller, add or ())}
    with sequencer() as stub:
        known = get(stub, name)
        if added or remove:
            wanted = {one.name: one for one in known.callers} | added
            for gone in remove or ():
                if wanted.pop(gone, None) is None:
                    fail(f"'{gone}' is not among the callers", f"'engine seq callers {name}'.")
            _check_open(known, wanted.values(), sure=yes)
            changed = pb.Sequence(name=known.name, callers=wanted.values(), etag=known.etag)
            request = pb.UpdateSequenceRequest(sequence=changed)
            request.update_mask.paths.append("callers")
            known = stub.UpdateSequence(request).sequence
        taken = _taken_today(stub.GetUsage, name)
    rows = (
        (shown.plain(one.name), _quota(one), _taken(known, taken, one.name))
        for one in known.callers or (pb.Caller(name=user) for user in sorted(taken))
    )
    title = name if known.callers else f"{name}: open to all who hold the permission"
    print_table(("Caller", "Ids a day", "Taken today"), rows, title=title)


def print_sequences(sequences: Iterable[pb.Sequence]) -> None:
    """Show sequences, one a line."""
    print_table(_HEADERS, map(_row, sequences), styles=shown.STYLES)


def _row(found: pb.Sequence) -> tuple[str, ...]:
    return (
        found.name,
        shown.kind(found),
        shown.state(found),
        str(found.next_value) if found.HasField("next_value") else "-",
        shown.amount(found.remaining) if found.HasField("remaining") else "-",
        shown.days(found) or "-",
    )


def _quota(one: pb.Caller) -> str:
    return shown.amount(one.daily_quota) if one.daily_quota else "any"


def _taken(known: pb.Sequence, taken: dict[str, int], name: str) -> str:
    """What a caller took today; only logs of ranges tell."""
    is_logged = shown.kind(known) in {"segment", "strict"}
    return shown.amount(taken.get(name, 0)) if is_logged else "-"


def _check_open(known: pb.Sequence, wanted: Iterable[pb.Caller], *, sure: bool) -> None:
    """Ask before a sequence becomes open to everybody."""
    if known.callers and not list(wanted) and not sure:
        fail(
            "without any caller all who hold the permission may take ids",
            "Say --yes if that is meant; 'engine seq drain' stops all.",
        )


def _taken_today(call: object, name: str) -> dict[str, int]:
    from datetime import UTC, datetime

    from engine.sequencer.v1 import sequencer_pb2 as pb

    request = pb.GetUsageRequest(name=name)
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    request.from_time.FromDatetime(midnight)
    assert callable(call)
    return {one.caller: one.granted - one.returned for one in call(request).usage}
