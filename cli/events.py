"""`engine events`: what services tell one another, and what they could not consume."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.connect import blocking_channel
from cli.output import fail, print_table, terminal
from cli.payload import payload_json

if TYPE_CHECKING:
    from engine.mesh.v1 import bus_pb2 as pb
    from engine.mesh.v1.bus_pb2_grpc import BusServiceStub

app = typer.Typer(
    no_args_is_help=True,
    help="""Events: what services tell one another.

    A service writes an event with the change that it tells of. The bus keeps
    it and hands it to each group of consumers, in order for each key. What a
    group cannot consume after some tries is a dead letter: 'replay' it.
    """,
)

FOLLOW_S = 20
_PAGE = 100
_EVENT_HEADERS = ("Position", "Time", "Topic", "Type", "Key", "Actor", "Source", "Payload")
_DEAD_HEADERS = ("Id", "Group", "Position", "Type", "Key", "Tries", "Error", "Given up", "State")
_GROUP_HEADERS = ("Group", "Topic", "Position", "Behind", "Dead")


@app.command()
def tail(
    *,
    topic: Annotated[str, typer.Option("--topic", "-t", help="This topic alone.")] = "",
    after: Annotated[
        int | None, typer.Option(min=0, help="Show events behind this position, oldest first.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with new ones, until Ctrl-C.")
    ] = False,
    count: Annotated[int, typer.Option("-n", min=1, max=1000, help="How many to begin with.")] = 20,
) -> None:
    """Show the newest events.

    Examples: engine events tail -f --topic decision

              engine events tail --after 4711 -n 100 | cut -f4,8
    """
    from engine.mesh.v1 import bus_pb2 as pb

    request = pb.ListEventsRequest(topic=topic, after=-1 if after is None else after)
    request.page_size = count
    with _bus() as stub:
        found = stub.ListEvents(request).events
        print_table(_EVENT_HEADERS, map(_event_row, found))
        if follow:
            request.after = found[-1].position if found else max(request.after, 0)
            _follow(stub, request)


@app.command()
def dead(
    *,
    group: Annotated[
        str, typer.Option("--group", "-g", help="Of this group: 'action.tasks'.")
    ] = "",
) -> None:
    """Show what groups could not consume, oldest first.

    An error is told by its kind; the log of the group's service says more.
    'engine events replay' has them tried once more.
    """
    with _bus() as stub:
        print_table(_DEAD_HEADERS, map(_dead_row, _dead_letters(stub, group)))


@app.command()
def replay(
    ids: Annotated[
        list[int] | None, typer.Argument(metavar="[ID]...", help="Numbers of dead letters.")
    ] = None,
    *,
    group: Annotated[str, typer.Option("--group", "-g", help="All of this group.")] = "",
) -> None:
    """Hand dead letters to their groups once more.

    Mend what made them fail first: one that fails again comes back.

    Examples: engine events replay 17 18

              engine events replay --group action.tasks
    """
    from engine.mesh.v1 import bus_pb2 as pb

    if not ids and not group:
        fail("nothing named", "Name dead letters or a --group; 'engine events dead' lists.", code=2)
    with _bus() as stub:
        request = pb.ReplayDeadLettersRequest(dead_letter_ids=ids or (), group=group)
        replaying = stub.ReplayDeadLetters(request).replaying
    typer.echo(f"{replaying} dead letter(s) will be tried once more")


@app.command()
def groups() -> None:
    """Show who consumes which topic, how far each is behind, and its dead letters."""
    from engine.mesh.v1 import bus_pb2 as pb

    with _bus() as stub:
        found = stub.ListGroups(pb.ListGroupsRequest()).groups
    rows = ((g.group, g.topic, str(g.position), str(g.lag), str(g.dead)) for g in found)
    print_table(_GROUP_HEADERS, rows)


def _follow(stub: BusServiceStub, request: pb.ListEventsRequest) -> None:
    """Print events as they come; only Ctrl-C and errors end it."""
    request.page_size = _PAGE
    request.wait.seconds = FOLLOW_S
    gap = "  " if terminal() else "\t"
    try:
        while True:
            for logged in stub.ListEvents(request).events:
                print(gap.join(_event_row(logged)), flush=True)
                request.after = logged.position
    except KeyboardInterrupt:
        return


def _dead_letters(stub: BusServiceStub, group: str) -> Iterable[pb.DeadLetter]:
    from engine.mesh.v1 import bus_pb2 as pb

    request = pb.ListDeadLettersRequest(group=group, page_size=_PAGE)
    while True:
        answer = stub.ListDeadLetters(request)
        yield from answer.dead_letters
        if not answer.next_page_token:
            return
        request.page_token = answer.next_page_token


@contextmanager
def _bus() -> Iterator[BusServiceStub]:
    """The running bus; an error of a call ends the program with its next step."""
    import grpc

    from engine.mesh.v1.bus_pb2_grpc import BusServiceStub
    from mesh.errors import ErrorView

    with blocking_channel("bus") as channel:
        try:
            yield BusServiceStub(channel)
        except grpc.RpcError as error:
            view = ErrorView.from_rpc(error)
            fail(view.message, view.next_step)


def _event_row(logged: pb.LoggedEvent) -> tuple[str, ...]:
    event = logged.event
    return (
        str(logged.position),
        _time(event.time),
        event.topic,
        event.type,
        event.key,
        event.actor,
        event.source,
        payload_json(event),
    )


def _dead_row(letter: pb.DeadLetter) -> tuple[str, ...]:
    event = letter.logged.event
    return (
        str(letter.dead_letter_id),
        letter.group,
        str(letter.logged.position),
        event.type,
        event.key,
        str(letter.attempts),
        letter.error,
        _time(letter.time),
        "replaying" if letter.replaying else "given up",
    )


def _time(moment: Any) -> str:
    return f"{moment.ToDatetime():%Y-%m-%d %H:%M:%S}Z"
