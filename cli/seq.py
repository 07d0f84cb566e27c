"""`engine seq`: sequences of ids."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.connect import blocking_channel
from cli.output import fail, print_table

if TYPE_CHECKING:
    from engine.sequencer.v1 import sequencer_pb2 as pb
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub

app = typer.Typer(no_args_is_help=True, help="Sequences of ids: create, look at, take from.")

MAX_BLOCK = 100_000
"""Most ids that `next` prints."""

_PAGE = 1_000
_SEQUENCE_HEADERS = ("Name", "Start", "Last id", "Next id", "Leases", "Created")
_LEASE_HEADERS = ("Lease", "First", "Last", "Ids", "Client", "State", "Time")

Name = Annotated[str, typer.Argument(help="Name of the sequence: 'customer.follow_up'.")]


@app.command()
def create(
    name: Name,
    *,
    start: Annotated[int, typer.Option(min=1, help="First id.")] = 1,
    max_value: Annotated[
        int, typer.Option("--max", min=0, help="Last id; 0 for 2^63 - 1, 9007199254740991 for JS.")
    ] = 0,
) -> None:
    """Create a sequence; once more with the same settings changes nothing.

    Example: engine seq create shop.order --start 1000
    """
    from engine.sequencer.v1 import sequencer_pb2 as pb

    wanted = pb.Sequence(name=name, start=start, max_value=max_value)
    with _sequencer() as stub:
        _print_sequences([stub.CreateSequence(pb.CreateSequenceRequest(sequence=wanted)).sequence])


@app.command(name="list")
def list_() -> None:
    """Show all sequences, by name."""
    from engine.sequencer.v1 import sequencer_pb2 as pb

    with _sequencer() as stub:
        found: list[pb.Sequence] = []
        request = pb.ListSequencesRequest(page_size=_PAGE)
        while True:
            answer = stub.ListSequences(request)
            found.extend(answer.sequences)
            if not answer.next_page_token:
                break
            request.page_token = answer.next_page_token
    _print_sequences(found)


@app.command()
def inspect(
    name: Name,
    id_: Annotated[
        int | None, typer.Argument(metavar="[ID]", min=1, help="Show the lease of this id alone.")
    ] = None,
    *,
    limit: Annotated[int, typer.Option(min=1, max=_PAGE, help="Most leases to show.")] = 20,
) -> None:
    """Show who got which ids when: the newest leases, or the one that holds an id.

    Example: engine seq inspect customer.follow_up 4711
    """
    from engine.sequencer.v1 import sequencer_pb2 as pb

    request = pb.ListLeasesRequest(name=name, id=id_ or 0, page_size=limit)
    with _sequencer() as stub:
        leases = stub.ListLeases(request).leases
    if id_ and not leases:
        fail(f"'{name}' has not granted {id_}", f"'engine seq peek {name}' shows how far it is.")
    print_table(_LEASE_HEADERS, map(_lease_row, leases), title=name)


@app.command(name="next")
def next_(
    name: Name,
    *,
    count: Annotated[int, typer.Option("-n", min=1, max=MAX_BLOCK, help="How many ids.")] = 1,
    create: Annotated[
        bool, typer.Option("--create", help="Create the sequence when there is none.")
    ] = False,
) -> None:
    """Take ids and print them, one a line. Ids once taken are not given again.

    Example: engine seq next shop.order -n 3
    """
    import secrets

    from engine.sequencer.v1 import sequencer_pb2 as pb

    request = pb.LeaseRangeRequest(name=name, client_id=f"cli-{secrets.token_hex(8)}")
    with _sequencer() as stub:
        if create and not _exists(stub, name):
            stub.CreateSequence(pb.CreateSequenceRequest(sequence=pb.Sequence(name=name)))
        while count:
            request.size = count
            lease = stub.LeaseRange(request).lease
            typer.echo("\n".join(map(str, range(lease.first, lease.first + lease.size))))
            count -= lease.size
            request.last_lease_number = lease.lease_number
            request.last_id = lease.first + lease.size - 1


@app.command()
def peek(name: Name) -> None:
    """Print the id that the next new range starts with, without taking it."""
    from engine.sequencer.v1 import sequencer_pb2 as pb

    with _sequencer() as stub:
        sequence = stub.GetSequence(pb.GetSequenceRequest(name=name)).sequence
    if not sequence.next_value:
        fail(f"'{name}' has no ids left", "Create a sequence with a higher --max.")
    typer.echo(sequence.next_value)


def _exists(stub: SequencerServiceStub, name: str) -> bool:
    import grpc

    from engine.sequencer.v1 import sequencer_pb2 as pb
    from mesh.errors import ErrorView

    try:
        stub.GetSequence(pb.GetSequenceRequest(name=name))
    except grpc.RpcError as error:
        if ErrorView.from_rpc(error).reason == "SEQUENCE_NOT_FOUND":
            return False
        raise
    return True


@contextmanager
def _sequencer() -> Iterator[SequencerServiceStub]:
    """The running sequencer; an error of a call ends the program with its next step."""
    import grpc

    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub
    from mesh.errors import ErrorView

    with blocking_channel("sequencer") as channel:
        try:
            yield SequencerServiceStub(channel)
        except grpc.RpcError as error:
            view = ErrorView.from_rpc(error)
            fail(view.message, view.next_step)


def _print_sequences(sequences: list[pb.Sequence]) -> None:
    print_table(_SEQUENCE_HEADERS, map(_sequence_row, sequences))


def _sequence_row(sequence: pb.Sequence) -> tuple[str, ...]:
    return (
        sequence.name,
        str(sequence.start),
        str(sequence.max_value),
        str(sequence.next_value or "none"),
        str(sequence.lease_number),
        _time(sequence.create_time),
    )


def _lease_row(lease: pb.Lease) -> tuple[str, ...]:
    return (
        str(lease.lease_number),
        str(lease.first),
        str(lease.first + lease.size - 1),
        str(lease.size),
        lease.client_id,
        _state(lease),
        _time(lease.lease_time),
    )


def _state(lease: pb.Lease) -> str:
    from engine.sequencer.v1 import sequencer_pb2 as pb

    return pb.LeaseState.Name(lease.state).removeprefix("LEASE_STATE_").lower()


def _time(moment: Any) -> str:
    return f"{moment.ToDatetime():%Y-%m-%d %H:%M:%S}Z"
