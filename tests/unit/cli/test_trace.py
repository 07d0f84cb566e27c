"""A trace as a tree in the terminal."""

from __future__ import annotations

import re

from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console

from cli.trace import BAR_WIDTH, render_trace
from engine.ums.v1 import ums_pb2

TRACE_ID = "a" * 32


def span(
    span_id: str,
    parent: str = "",
    *,
    service: str = "gateway",
    start_us: int = 0,
    length_us: int = 1_000,
    **fields: object,
) -> ums_pb2.Span:
    return ums_pb2.Span(
        span_id=span_id,
        parent_span_id=parent,
        service=service,
        name=f"step {span_id}",
        start_time=Timestamp(seconds=1, nanos=start_us * 1_000),
        duration_ns=length_us * 1_000,
        **fields,  # type: ignore[arg-type]
    )


def shown(*spans: ums_pb2.Span, color: bool = False) -> list[str]:
    """The lines of the tree, as a pipe or a terminal gets them."""
    console = Console(
        width=120, force_terminal=color, color_system="standard" if color else None, no_color=False
    )
    with console.capture() as capture:
        console.print(render_trace(ums_pb2.Trace(trace_id=TRACE_ID, spans=spans)))
    return capture.get().splitlines()


def test_steps_stand_below_what_caused_them_in_order_of_time() -> None:
    """Service, name and milliseconds on each line."""
    head, *lines = shown(
        span("root"),
        span("second", "root", service="ark", start_us=500, length_us=250),
        span("first", "root", service="customer", length_us=250),
        span("sql", "first", service="customer", length_us=125),
    )
    assert head == f"trace {TRACE_ID}  1.0 ms"
    assert [re.split(r"  \d", line)[0] for line in lines] == [
        "└── gateway · step root",
        "    ├── customer · step first",
        "    │   └── customer · step sql",
        "    └── ark · step second",
    ]
    assert "0.25 ms" in lines[1]


def test_the_bar_shows_place_and_share_of_the_whole() -> None:
    """A quarter in the middle is a quarter of the bar in the middle."""
    _, _, line = shown(span("root"), span("part", "root", start_us=500, length_us=250))
    half, quarter = BAR_WIDTH // 2, BAR_WIDTH // 4
    assert line.endswith("·" * half + "━" * quarter + "·" * quarter)


def test_a_step_too_short_for_the_bar_is_still_seen() -> None:
    """At least one mark, also at the very end."""
    lines = shown(span("root"), span("last", "root", start_us=1_000, length_us=0))
    assert lines[-1].endswith("·" * (BAR_WIDTH - 1) + "━")


def test_a_step_whose_parent_has_not_arrived_is_shown_and_marked() -> None:
    """Spans of another process may come later, or never."""
    lines = shown(span("root"), span("orphan", "missing", start_us=10), span("child", "orphan"))
    assert [re.split(r"  \d", line)[0] for line in lines[1:]] == [
        "├── gateway · step root",
        "└── … gateway · step orphan",
        "    └── gateway · step child",
    ]


def test_a_failed_step_is_red_and_says_why() -> None:
    """On a terminal; in a pipe the sign and the reason remain."""
    failed = span("root", failed=True, attributes={"error": "NOT_FOUND"})
    (_, colored) = shown(failed, color=True)
    (_, plain) = shown(failed)
    assert "\x1b[31m" in colored
    assert "\x1b" not in plain
    assert plain.endswith("✗ NOT_FOUND")


def test_names_are_not_read_as_markup() -> None:
    """A name with brackets is shown as it is."""
    step = span("root")
    step.name = "[red]x[/red]"
    assert "[red]x[/red]" in shown(step)[1]


def test_a_trace_without_spans_is_its_head_alone() -> None:
    """Nothing arrived yet."""
    assert shown() == [f"trace {TRACE_ID}  0.0 ms"]
