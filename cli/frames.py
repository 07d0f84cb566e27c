"""Frames of lanes as a person or a program reads them: one a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Final

from google.protobuf.json_format import MessageToDict

from cli.output import terminal
from cli.seq.shown import plain
from engine.mesh.v1 import lane_pb2 as pb

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_PREFIX: Final = "LANE_FRAME_KIND_"
_STYLES: Final = {
    "CALL": "bold",
    "REPLY": "green",
    "END": "red",
    "CANCEL": "yellow",
    "GO_AWAY": "bold yellow",
}


def print_frame(frame: pb.LaneFrame) -> None:
    """Print a frame: coloured on terminals, with tabs between its cells in pipes."""
    if not terminal():
        print("\t".join((*_cells(frame), "  ".join(_said(frame)))), flush=True)
        return
    _console().print(_line(frame), soft_wrap=True)


def print_json(frame: pb.LaneFrame) -> None:
    """Print a frame as a JSON object, with the payload as an object within."""
    data = MessageToDict(frame)
    data.pop("outgoing", None)
    data |= {"kind": _kind(frame), "direction": "out" if frame.outgoing else "in"}
    data["size"] = frame.size
    data["lane"], data["number"] = frame.lane, frame.number
    if frame.metadata:
        data["metadata"] = [[pair.key, pair.value] for pair in frame.metadata]
    if frame.payload:
        data["payload"] = json.loads(frame.payload)
    print(json.dumps(data, ensure_ascii=False, separators=(",", ":")), flush=True)


@cache
def _console() -> Console:
    """One for all lines: to make it takes longer than to print one."""
    from rich.console import Console

    return Console(highlight=False)


def _kind(frame: pb.LaneFrame) -> str:
    return pb.LaneFrameKind.Name(frame.kind).removeprefix(_PREFIX)


def _cells(frame: pb.LaneFrame) -> tuple[str, ...]:
    """Time, lane, caller, direction, kind, number, method, bytes."""
    moment = f"{frame.time.ToDatetime():%H:%M:%S.%f}"[:-3]
    return (
        f"{moment}Z",
        str(frame.lane),
        plain(frame.caller),
        "←" if frame.outgoing else "→",
        _kind(frame),
        str(frame.number),
        _short(frame.method),
        str(frame.size),
    )


def _short(path: str) -> str:
    """A method without its package: "CustomerService/GetCustomer"."""
    service, slash, name = plain(path).rpartition("/")
    return f"{service.rpartition('.')[2]}{slash}{name}"


def _said(frame: pb.LaneFrame) -> Iterator[str]:
    """What else the frame says."""
    if frame.HasField("timeout"):
        yield f"within {_ms(frame.timeout.ToNanoseconds())}"
    if frame.HasField("elapsed"):
        yield f"after {_ms(frame.elapsed.ToNanoseconds())}"
    for text in (frame.status, frame.reason, frame.text):
        if text:
            yield plain(text)
    if frame.payload:
        yield plain(frame.payload)
    for pair in frame.metadata:
        yield f"{plain(pair.key)}={plain(pair.value)}"
    if frame.trace_id:
        yield f"trace={frame.trace_id}"


def _ms(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e6:.1f} ms"


def _line(frame: pb.LaneFrame) -> Text:
    from rich.text import Text

    moment, lane, caller, direction, kind, number, method, size = _cells(frame)
    style = "green" if frame.status == "OK" else _STYLES.get(kind, "dim")
    line = Text.assemble((moment, "dim"), f" {lane} ", (caller, "cyan"), f" {direction} ")
    line.append(f"{kind} {number}", style=style)
    line.append(f" {method}" if method else "", style="bold")
    line.append(f" {size} B" if frame.size else "", style="dim")
    return line.append("".join(f"  {part}" for part in _said(frame)))
