"""`engine trace` and `engine traces`: where the time of a request went."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from cli.connect import blocking_channel
from cli.output import fail, print_table, terminal

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

    from engine.ums.v1 import ums_pb2, ums_pb2_grpc

BAR_WIDTH = 20
PIPE_WIDTH = 240
"""Columns of a tree that is not shown on a terminal: lines must not wrap there."""


def trace(
    trace_id: Annotated[str, typer.Argument(help="32 hexadecimal digits; 'engine traces' lists.")],
) -> None:
    """Show one request's way through the platform as a tree of timed steps.

    Spans arrive some seconds after the request.
    """
    from rich.console import Console

    from engine.ums.v1 import ums_pb2

    with _ums() as stub:
        answer = stub.GetTrace(ums_pb2.GetTraceRequest(trace_id=trace_id.lower()))
    console = Console(width=None if terminal() else PIPE_WIDTH, highlight=False)
    console.print(render_trace(answer.trace))


def traces(
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=1000, help="How many.")] = 20,
) -> None:
    """List recent traces, newest first."""
    from engine.ums.v1 import ums_pb2

    with _ums() as stub:
        answer = stub.ListTraces(ums_pb2.ListTracesRequest(page_size=count))
    print_table(
        ("Trace", "Began", "Service", "Name", "ms", "Spans", "State"),
        [
            (
                head.trace_id,
                f"{head.start_time.ToDatetime().isoformat(' ', 'milliseconds')} UTC",
                head.service,
                head.name,
                f"{head.duration_ns / 1e6:.1f}",
                str(head.spans),
                "failed" if head.failed else "ok",
            )
            for head in answer.traces
        ],
    )


def render_trace(trace: ums_pb2.Trace) -> Tree:
    """A trace as a tree: service, name, milliseconds, and its place and share of the whole.

    A span whose parent has not arrived stands at the top, marked with "…".
    """
    from rich.tree import Tree

    began = min((_start_ns(span) for span in trace.spans), default=0)
    ended = max((_start_ns(span) + span.duration_ns for span in trace.spans), default=0)
    whole = max(ended - began, 1)
    root = Tree(f"trace {trace.trace_id}  {(ended - began) / 1e6:.1f} ms")
    known = {span.span_id for span in trace.spans}
    children: dict[str, list[ums_pb2.Span]] = {}
    for span in sorted(trace.spans, key=_start_ns):
        parent = span.parent_span_id if span.parent_span_id in known else ""
        children.setdefault(parent, []).append(span)
    pending = [(root, span) for span in reversed(children.get("", []))]
    while pending:
        above, span = pending.pop()
        orphan = above is root and bool(span.parent_span_id)
        node = above.add(_line(span, began, whole, orphan=orphan))
        pending += [(node, child) for child in reversed(children.get(span.span_id, []))]
    return root


def _line(span: ums_pb2.Span, began: int, whole: int, *, orphan: bool) -> Text:
    from rich.text import Text

    name = f"{'… ' if orphan else ''}{span.service} · {span.name}"
    failed = f"  ✗ {span.attributes.get('error', 'failed')}" if span.failed else ""
    line = Text(f"{name}  {span.duration_ns / 1e6:.2f} ms", style="red" if span.failed else "")
    line.append(f"  {_bar(_start_ns(span) - began, span.duration_ns, whole)}", style="dim")
    return line.append(failed, style="red")


def _bar(offset: int, length: int, whole: int) -> str:
    """When a span ran, as a stretch of a line that stands for the whole trace."""
    start = min(offset * BAR_WIDTH // whole, BAR_WIDTH - 1)
    end = min(-(-(offset + length) * BAR_WIDTH // whole), BAR_WIDTH)
    end = max(end, start + 1)
    return "·" * start + "━" * (end - start) + "·" * (BAR_WIDTH - end)


def _start_ns(span: ums_pb2.Span) -> int:
    return span.start_time.ToNanoseconds()


@contextmanager
def _ums() -> Iterator[ums_pb2_grpc.UmsServiceStub]:
    """A stub of the UMS; a failed call ends the program with what the UMS said."""
    import grpc

    from engine.ums.v1 import ums_pb2_grpc
    from mesh.errors import ErrorView

    with blocking_channel("ums") as channel:
        try:
            yield ums_pb2_grpc.UmsServiceStub(channel)
        except grpc.RpcError as error:
            view = ErrorView.from_rpc(error)
            fail(view.message or view.code.name, view.next_step)
