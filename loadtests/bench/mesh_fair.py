"""Whether one caller who sends a hundred times as much keeps the others waiting.

The others call at fixed times, each over a channel of his own. The heavy caller is a process
of its own; it hands in a hundred calls at once whenever one of the others hands in one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from loadtests.bench._figure import Direction, Figure
from loadtests.bench.mesh_flood import HEAVY, RATE_PER_S, Flood
from loadtests.bench.mesh_load import open_loop, p99
from loadtests.bench.mesh_rounds import Rounds
from loadtests.bench.mesh_servers import FULL
from loadtests.bench.mesh_stage import CARRIERS, Carrier, Stage, Target
from loadtests.bench.mesh_tail import tail_s

if TYPE_CHECKING:
    from loadtests.bench import Run

BAR: Final = 2.0
OTHERS: Final = 10
WITH, WITHOUT = "with", "without"


def fair_figures(run: Run, stage: Stage) -> Iterator[Figure]:
    """The figures of this part."""
    with Flood.started(stage.ways.mesh) as flood:
        for carrier in CARRIERS:
            yield from _fair(run, stage, carrier, flood)


def _fair(run: Run, stage: Stage, carrier: Carrier, flood: Flood) -> Iterator[Figure]:
    others = [stage.another(FULL, carrier) for _ in range(OTHERS)]
    seconds = tail_s(run)

    def alone() -> float:
        return _p99(stage, others, seconds)

    def beside() -> float:
        with flood.sending(carrier, seconds):
            return alone()

    rounds = Rounds(run, {WITHOUT: alone, WITH: beside})
    yield rounds.ratio(
        f"others' p99 beside a caller of {HEAVY} × their rate ÷ without, {carrier.name}",
        WITH,
        WITHOUT,
        of=float,
        against="the same without that caller",
        bar=BAR,
        direction=Direction.AT_MOST,
    )
    for name in (WITHOUT, WITH):
        yield run.report(f"… p99 {name}, {carrier.name}", rounds.middle(name, float) * 1e3, "ms")
    yield run.report(f"… the heavy caller's calls/s, {carrier.name}", flood.rate, "/s")


def _p99(stage: Stage, others: list[Target], seconds: float) -> float:
    rate = RATE_PER_S * len(others)
    return p99(stage.run(open_loop([other.get for other in others], rate=rate, seconds=seconds)))
