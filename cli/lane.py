"""`engine lane`: who is connected to a process by lanes, and what passes on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from cli.connect import blocking_channel, load_settings
from cli.output import fail, print_table

if TYPE_CHECKING:
    from engine.mesh.v1 import lane_pb2 as pb
    from engine.mesh.v1.lane_pb2_grpc import LaneServiceStub
    from mesh.registry import Entry

app = typer.Typer(
    no_args_is_help=True,
    help="""Lanes: the connections that services call one another by.

    A lane carries many calls in batches. 'list' shows who is connected, 'tap' the
    frames that pass, decoded by the service's contract. Personal data and secrets
    are told by their kind alone: they do not leave the process that is looked at.
    """,
)

A_DAY_S: Final = 86_400.0
_HEADERS = (
    "Service",
    "Pid",
    "Lane",
    "Caller",
    "Program",
    "Peer",
    "Carrier",
    "Calls",
    "Unsent",
    "Since",
    "State",
)


@app.command("list")
def list_(
    service: Annotated[
        str, typer.Argument(help="A service, or the pid of one process; else all.")
    ] = "",
) -> None:
    """Show the open lanes: caller, carrier, calls under way, bytes that wait to be sent.

    The caller is a proven service, or else the address of the client.

    Examples: engine lane list

              engine lane list customer | cut -f4,8
    """
    from engine.mesh.v1 import lane_pb2 as pb

    entries = [e for e in _running() if not service or service in (e.service, str(e.pid))]
    if not entries:
        _unknown(service)
    rows: list[tuple[str, ...]] = []
    for entry in entries:
        with _lanes(entry) as stub:
            rows += (_row(entry, lane) for lane in stub.ListLanes(pb.ListLanesRequest()).lanes)
    print_table(_HEADERS, rows)


@app.command()
def tap(
    process: Annotated[
        str, typer.Argument(metavar="PID|SERVICE", help="As 'engine status' shows them.")
    ],
    *,
    method: Annotated[
        str,
        typer.Option("--method", "-m", metavar="TEXT", help="Calls whose path holds this text."),
    ] = "",
    caller: Annotated[
        str, typer.Option("--caller", "-c", metavar="NAME", help="Frames of this caller.")
    ] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON object a line, with all that is known.")
    ] = False,
    count: Annotated[
        int | None, typer.Option("--count", "-n", min=1, help="End after so many frames.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", "-s", min=0.1, help="End after so long.")
    ] = None,
) -> None:
    """Show the frames that pass on the lanes of a process, until Ctrl-C.

    A line has time, lane, caller, direction (→ to the process, ← from it), kind,
    number, method, bytes, and then what the frame says. Fields that the contract calls
    personal or secret show as "*** PHONE"; long text is cut. Of a reply in pieces
    only sizes are shown. Whoever looks slows down nobody: frames that he is too slow
    for, or above 500 calls a second, are left out and counted on standard error.

    Examples: engine lane tap customer

              engine lane tap 4711 --method GetCustomer --caller gateway

              engine lane tap action --json --seconds 10 > frames.ndjson
    """
    from cli.frames import print_frame, print_json
    from engine.mesh.v1 import lane_pb2 as pb

    entry = _process(process)
    show = print_json if as_json else print_frame
    request = pb.TapRequest(method=method, caller=caller)
    with _lanes(entry) as stub:
        try:
            _follow(stub, request, entry, Until(show, count, seconds))
        except KeyboardInterrupt:
            return


class Until:
    """Shows frames until there were enough.

    Args:
        show: prints one.
        count: how many; None: without end.
        seconds: how long; None: without end.
    """

    def __init__(
        self, show: Callable[[pb.LaneFrame], None], count: int | None, seconds: float | None
    ) -> None:
        self._show = show
        self._left = count
        self.is_timed = seconds is not None
        self.seconds = A_DAY_S if seconds is None else seconds

    def shown(self, frames: Iterable[pb.LaneFrame]) -> bool:
        """Show some; False once there were enough."""
        for frame in frames:
            self._show(frame)
            if self._left is not None:
                self._left -= 1
                if self._left == 0:
                    return False
        return True


def _follow(stub: LaneServiceStub, request: pb.TapRequest, entry: Entry, until: Until) -> None:
    """Print frames as they pass, and on standard error how many are missing."""
    import grpc

    stream = stub.Tap(request, timeout=until.seconds)
    try:
        _tell_where(stub, entry, next(stream))
        for answer in stream:
            if answer.lost:
                _note(f"{answer.lost} frames lost: read faster, or ask for less by --method")
            if answer.left_out:
                _note(f"{answer.left_out} frames left out: more pass than are shown in a second")
            if not until.shown(answer.frames):
                break
    except grpc.RpcError as error:
        late = until.is_timed and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        if not late:
            raise
    finally:
        stream.cancel()


def _tell_where(stub: LaneServiceStub, entry: Entry, _stands: pb.TapResponse) -> None:
    from engine.mesh.v1 import lane_pb2 as pb

    lanes = stub.ListLanes(pb.ListLanesRequest()).lanes
    where = f"{len(lanes)} lanes" if lanes else "no lanes yet: frames come once a peer calls"
    _note(f"tapping {entry.service}, pid {entry.pid}: {where}; Ctrl-C ends")


def _note(text: str) -> None:
    typer.secho(f"engine: {text}", fg=typer.colors.YELLOW, err=True)


def _process(name: str) -> Entry:
    """The one process that a pid or a service means; ends the program when it is none."""
    found = [entry for entry in _running() if name in (entry.service, str(entry.pid))]
    if not found:
        _unknown(name)
    if len(found) > 1:
        fail(f"'{name}' is {len(found)} processes", f"Choose one: {_named(found)}.", code=2)
    return found[0]


def _running() -> list[Entry]:
    """The processes of this machine; ends the program when there is none."""
    from mesh.registry import DirectoryRegistry

    settings = load_settings()
    groups = DirectoryRegistry(settings.run_dir).services().values()
    found = [entry for group in groups for entry in group]
    if not found:
        fail(
            f"nothing serves on {settings.var}",
            "Start the platform with 'make run', or set ENGINE_VAR to its folder.",
        )
    return sorted(found, key=lambda entry: (entry.service, entry.pid))


def _unknown(name: str) -> NoReturn:
    fail(f"no process here is '{name}'", f"These run: {_named(_running())}.", code=2)


def _named(entries: Iterable[Entry]) -> str:
    return ", ".join(f"{entry.service} ({entry.pid})" for entry in entries)


@contextmanager
def _lanes(entry: Entry) -> Iterator[LaneServiceStub]:
    """A process's lanes, as the operator sees them; a failed call ends the program."""
    from dataclasses import replace

    import grpc

    from engine.mesh.v1.lane_pb2_grpc import LaneServiceStub
    from mesh.errors import ErrorView

    where = f"{entry.service} ({entry.pid})"
    plainly = replace(entry, lanes=())  # who looks on is not among those who are looked at
    with blocking_channel(plainly) as channel:
        try:
            yield LaneServiceStub(channel)
        except grpc.RpcError as error:
            view = ErrorView.from_rpc(error)
            if view.code is grpc.StatusCode.UNIMPLEMENTED:
                fail(f"{where} does not show its lanes", "Start it with this version.")
            if view.code is grpc.StatusCode.PERMISSION_DENIED:
                step = "Rights are read when a process starts: 'engine up' gives them to it."
                fail(f"{where}: {view.message}", step)
            fail(f"{where}: {view.message or view.code.name}", view.next_step)


def _row(entry: Entry, lane: pb.LaneInfo) -> tuple[str, ...]:
    from cli.seq.shown import plain

    return (
        entry.service,
        str(entry.pid),
        str(lane.lane),
        plain(lane.caller),
        plain(lane.program),
        plain(lane.peer),
        lane.carrier,
        str(lane.calls),
        str(lane.unsent_bytes),
        f"{lane.connect_time.ToDatetime():%Y-%m-%d %H:%M:%S}Z",
        "draining" if lane.draining else "open",
    )
