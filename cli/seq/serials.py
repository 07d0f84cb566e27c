"""Serial numbers on the command line: take them, and find out what one says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from cli.output import fail, print_table
from cli.seq import arguments, shown
from cli.seq.arguments import Name
from cli.seq.connection import connected

if TYPE_CHECKING:
    import grpc

    from engine.sequencer.v1 import serial_pb2 as pb

MAX_TAKEN: Final = 100_000
"""Most serials that one command takes."""

PAGE: Final = 1_000
"""Serials that one call takes at most."""


def serial(
    name: Name,
    *,
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, max=MAX_TAKEN, help="How many.")
    ] = 1,
    date: Annotated[
        str, typer.Option(metavar="DATE", help="Business date; today in the format's zone.")
    ] = "",
) -> None:
    """Take serials and print them, one a line, all of one business date.

    Two business dates may be open at once: each has numbers of its own.

    Example: engine seq serial loan.contract -n 3 --date 2026-11-26
    """
    from engine.sequencer.v1 import serial_pb2 as pb
    from engine.sequencer.v1.serial_pb2_grpc import SerialServiceStub

    request = pb.NextSerialsRequest(name=name)
    if date:
        request.business_date = arguments.day(date).isoformat()
    with connected() as channel:
        stub = SerialServiceStub(channel)
        while count:
            request.count = min(count, PAGE)
            answer = stub.NextSerials(request)
            print("\n".join(answer.serials))
            count -= len(answer.serials)
            request.business_date = answer.business_date  # midnight may come between


def read(
    name: Name, text: Annotated[str, typer.Argument(metavar="SERIAL", help="As it was typed.")]
) -> None:
    """Check a serial and take it apart: its number, its date, and who got it.

    Ends with code 1 and points at the first wrong character when it is none.

    Example: engine seq read loan.contract LN202611260000174
    """
    from engine.sequencer.v1 import serial_pb2 as pb
    from engine.sequencer.v1.serial_pb2_grpc import SerialServiceStub

    with connected() as channel:
        request = pb.ReadSerialRequest(name=name, serial=text)
        found = SerialServiceStub(channel).ReadSerial(request)
        if not found.valid:
            _refuse(name, text, found)
        number = str(found.number) if found.HasField("number") else "hidden by a key"
        rows = [("number", number), ("business date", found.business_date or "-")]
        if found.HasField("number"):
            rows += [("sequence", found.sequence), ("given to", _holder(channel, found))]
    print_table(("Part", "Value"), rows, title=text)


def _holder(channel: grpc.Channel, found: pb.ReadSerialResponse) -> str:
    """Who got the number, and when; the newest of those who did."""
    import grpc

    from engine.sequencer.v1 import sequencer_pb2
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub
    from mesh.errors import ErrorView

    unknown = "nobody, as far as the log is kept"
    request = sequencer_pb2.ListLeasesRequest(name=found.sequence, id=found.number, page_size=2)
    try:
        leases = SequencerServiceStub(channel).ListLeases(request).leases
    except grpc.RpcError as error:
        if ErrorView.from_rpc(error).reason not in ("SEQUENCE_NOT_FOUND", "SEQUENCE_CLOSED"):
            raise
        return unknown
    granted = (sequencer_pb2.LEASE_ACTION_GRANTED, sequencer_pb2.LEASE_ACTION_LOST)
    if not leases or leases[0].action not in granted:
        return unknown
    lease = leases[-1] if leases[0].action == sequencer_pb2.LEASE_ACTION_LOST else leases[0]
    said = f"{shown.plain(lease.client_id)} at {shown.moment(lease.lease_time)}"
    return said if lease is leases[0] else f"{said}, and perhaps never used"


def _refuse(name: str, text: str, found: pb.ReadSerialResponse) -> NoReturn:
    typer.echo(f"{shown.plain(text)}\n{' ' * found.position}^", err=True)
    fail(f"this is no serial of '{name}': {found.problem}")
