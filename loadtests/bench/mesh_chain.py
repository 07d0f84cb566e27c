"""What steps of the chain add to a call, in CPU of both sides: with them, and without.

Measured over the Unix socket, where the rest of a call costs least. The call that is
traced is in a trace that its caller began, sampled at the same share; what that costs
the caller counts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from loadtests.bench._figure import Figure
from loadtests.bench.mesh_load import Call, Flow
from loadtests.bench.mesh_rounds import Rounds
from loadtests.bench.mesh_servers import FULL, NO_RIGHTS, NO_TELEMETRY, SAMPLED
from loadtests.bench.mesh_stage import CARRIERS, Stage
from mesh.telemetry import SpanKind
from observability.tracing import OtelTracer

if TYPE_CHECKING:
    from loadtests.bench import Run

CALLERS: Final = 64
TELEMETRY_BAR_US: Final = 6.0
RIGHTS_BAR_US: Final = 8.0
TRACED: Final = "traced by the caller"

_cpu_us: Final[Callable[[Flow], float]] = attrgetter("cpu_us")


def chain_figures(run: Run, stage: Stage) -> Iterator[Figure]:
    """The figures of this part."""
    rounds = _rounds(run, stage)
    added = partial(rounds.added, of=_cpu_us, unit="µs")
    yield added(
        f"CPU added by telemetry at {SAMPLED:.0%} sampling, both sides",
        TRACED,
        NO_TELEMETRY,
        bar=TELEMETRY_BAR_US,
    )
    yield added(
        "CPU added by identity + policy + validation, both sides",
        FULL,
        NO_RIGHTS,
        bar=RIGHTS_BAR_US,
    )
    server_alone = rounds.middle(FULL, _cpu_us) - rounds.middle(NO_TELEMETRY, _cpu_us)
    yield run.report("… by telemetry when the caller begins no trace", server_alone, "µs")


def _rounds(run: Run, stage: Stage) -> Rounds[Flow]:
    unix = next(carrier for carrier in CARRIERS if carrier.name == "unix")
    calls: dict[str, Call] = {
        kind: stage.target(kind, unix).get for kind in (FULL, NO_TELEMETRY, NO_RIGHTS)
    }
    calls[TRACED] = _traced(calls[FULL])
    pid = stage.target(FULL, unix).pid
    flow = partial(stage.flow, pid=pid, callers=CALLERS, seconds=run.stretch_s)
    return Rounds(run, {name: partial(flow, call) for name, call in calls.items()})


def _traced(call: Call) -> Call:
    tracer = OtelTracer(lambda _: None, ratio=SAMPLED)

    def begun() -> Awaitable[object]:
        with tracer.span("bench", SpanKind.INTERNAL, tracer.root()):
            return call()

    return begun
