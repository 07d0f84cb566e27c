"""Snowflakes: who makes ids as which worker, and what an id consists of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from cli.output import print_table
from cli.seq import shown
from cli.seq.arguments import Name
from cli.seq.connection import connected, paged

if TYPE_CHECKING:
    import grpc

    from engine.sequencer.v1 import snowflake_pb2 as pb

_HEADERS: Final = ("Worker", "Holder", "From", "Until", "State")


def workers(name: Name) -> None:
    """Show who makes ids of a snowflake sequence: the newest window of each worker id.

    Only the holder makes ids with a time within the window; the next one's
    begins after it.

    Example: engine seq workers trace.span
    """
    with connected() as channel:
        print_workers(channel, name)


def print_workers(channel: grpc.Channel, name: str) -> None:
    """Show the newest window of each worker id, one a line."""
    from engine.sequencer.v1 import snowflake_pb2 as pb
    from engine.sequencer.v1.snowflake_pb2_grpc import WorkerServiceStub

    now = datetime.now(UTC)
    stub = WorkerServiceStub(channel)
    found = paged(stub.ListWorkers, pb.ListWorkersRequest(name=name), "windows")
    rows = ((*_row(window), _state(window, now)) for window in found)
    print_table(_HEADERS, rows, title=name, styles={"held": "green", "free": "dim"})


def decode(channel: grpc.Channel, name: str, id_: int) -> None:
    """Show when an id was made, by which worker, and who held that then."""
    from engine.sequencer.v1 import snowflake_pb2 as pb
    from engine.sequencer.v1.snowflake_pb2_grpc import WorkerServiceStub

    stub = WorkerServiceStub(channel)
    found = stub.InspectSnowflake(pb.InspectSnowflakeRequest(name=name, id=id_))
    made = f"{found.id_time.ToDatetime():%Y-%m-%d %H:%M:%S.%f}"[:-3] + "Z"
    rows = [("Time", made), ("Worker", str(found.worker_id)), ("Number", str(found.sequence))]
    if found.HasField("window"):
        _, holder, begin, end = _row(found.window)
        rows += [("Holder", holder), ("Window", f"{begin} to {end}")]
    else:
        rows.append(("Holder", "nobody: the sequence did not give this id, or has forgotten"))
    print_table(("Part", "Value"), rows, title=f"{name} {id_}")


def _row(window: pb.WorkerWindow) -> tuple[str, str, str, str]:
    return (
        str(window.worker_id),
        shown.plain(window.holder),
        shown.moment(window.from_time),
        shown.moment(window.until_time),
    )


def _state(window: pb.WorkerWindow, now: datetime) -> str:
    return "held" if window.until_time.ToDatetime(UTC) > now else "free"
