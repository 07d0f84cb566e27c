"""Long waits while the server is half as busy as plain grpc.aio can be: open loop."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Final

from loadtests.bench._figure import Direction, Figure
from loadtests.bench.mesh_load import open_loop, p99
from loadtests.bench.mesh_rounds import Rounds
from loadtests.bench.mesh_servers import FULL
from loadtests.bench.mesh_stage import CARRIERS, PLAIN, Stage, Target, part_s
from loadtests.bench.servers import PEER

if TYPE_CHECKING:
    from loadtests.bench import Run

BAR: Final = 0.5
STRETCHES: Final = 2
"""A percentile needs more calls than a median: so many make one, but in a quick run."""
MOST_CALLERS: Final = (64, 256)
"""Plain's maximum is the better of these."""


def tail_figures(run: Run, stage: Stage) -> Iterator[Figure]:
    """The figures of this part."""
    most = _maximum(run, stage)
    yield run.report("plain's maximum", most, "/s")
    targets = {PLAIN: stage.plain, **{c.name: stage.target(FULL, c) for c in CARRIERS}}

    def measured(target: Target) -> float:
        return p99(stage.run(open_loop([target.get], rate=most / 2, seconds=tail_s(run))))

    rounds = Rounds(run, {name: partial(measured, target) for name, target in targets.items()})
    for carrier in CARRIERS:
        yield rounds.ratio(
            f"p99 at half of plain's maximum, open loop ÷ plain, {carrier.name}",
            carrier.name,
            PLAIN,
            of=float,
            against=PEER,
            bar=BAR,
            direction=Direction.AT_MOST,
        )
    for name in targets:
        yield run.report(f"… p99, {name}", rounds.middle(name, float) * 1e3, "ms")


def tail_s(run: Run) -> float:
    """Seconds of calls that a 99th percentile is taken of."""
    return part_s(run) * (1 if run.quick else STRETCHES)


def _maximum(run: Run, stage: Stage) -> float:
    """Calls a second; medians, since half of a lucky stretch may be more than plain can do."""
    call, pid = stage.plain.get, stage.plain.pid

    def rate(callers: int) -> float:
        return stage.flow(call, pid, callers=callers, seconds=run.stretch_s).rate

    return max(median(rate(callers) for _ in range(3)) for callers in MOST_CALLERS)
