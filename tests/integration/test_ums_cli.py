"""`engine trace` and `engine traces` against a UMS that serves."""

from __future__ import annotations

import asyncio

import pytest
import typer
from typer.testing import CliRunner, Result

from cli import trace
from mesh.context import CALLER
from mesh.telemetry import Meters, SpanKind
from mesh.testing import Mesh
from mesh.tokens import ServiceKey
from observability.pipeline import build_pump, tracer_into
from observability.ums.app import BLUEPRINT

OPERATOR = "operator"

app = typer.Typer()
app.command("trace")(trace.trace)
app.command("traces")(trace.traces)


@pytest.fixture
async def trace_id(mesh: Mesh) -> str:
    """A trace that the UMS keeps: a failed step within another."""
    mesh.trust(OPERATOR, {"ums.read"})
    served = await mesh.start(BLUEPRINT)
    key = ServiceKey.load(mesh.settings.key_dir, OPERATOR)
    pump = build_pump(
        {"service.name": "gateway"},
        Meters(),
        lambda: served.entry.address,
        lambda: ((CALLER, key.token()),),
    )
    tracer = tracer_into(pump, ratio=1.0)
    with (
        tracer.span("outer", SpanKind.SERVER, tracer.root()) as outer,
        tracer.span("inner", SpanKind.CLIENT, outer.context) as inner,
    ):
        inner.fail("NOT_FOUND")
    pump.start()
    await asyncio.to_thread(pump.close)
    return outer.context.trace_hex


async def run(mesh: Mesh, *arguments: str) -> Result:
    """The command in a thread, as the services of the test run in this one."""
    environment = {"ENGINE_VAR": str(mesh.settings.var)}
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, arguments, env=environment))


async def test_a_trace_is_printed_as_plain_lines_in_a_pipe(mesh: Mesh, trace_id: str) -> None:
    """Steps below one another, without colors, and unwrapped."""
    result = await run(mesh, "trace", trace_id.upper())
    assert result.exit_code == 0
    head, outer, inner = result.stdout.splitlines()
    assert head.startswith(f"trace {trace_id}")
    assert outer.startswith("└── gateway · outer")
    assert inner.startswith("    └── gateway · inner")
    assert inner.endswith("✗ NOT_FOUND")
    assert "\x1b" not in result.stdout


async def test_recent_traces_are_listed_as_columns(mesh: Mesh, trace_id: str) -> None:
    """Tab-separated in a pipe, for other programs."""
    result = await run(mesh, "traces", "-n", "5")
    assert result.exit_code == 0
    _, line = result.stdout.splitlines()
    assert [line.split("\t")[i] for i in (0, 2, 3, 5, 6)] == [
        trace_id,
        "gateway",
        "outer",
        "2",
        "failed",
    ]


@pytest.mark.usefixtures("trace_id")
async def test_an_unknown_trace_ends_the_program_with_the_next_step(mesh: Mesh) -> None:
    """Exit code 1, the reason and what to do on standard error."""
    result = await run(mesh, "trace", "f" * 32)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "No span of this trace is kept" in result.stderr
    assert "ENGINE_TRACE_SAMPLE" in result.stderr
