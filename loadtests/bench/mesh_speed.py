"""How many calls a second, what each costs, and how long one takes, over each carrier."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from operator import attrgetter
from statistics import median
from typing import Final

from loadtests.bench._figure import Direction, Figure
from loadtests.bench._run import Run
from loadtests.bench.mesh_load import Flow, one_by_one
from loadtests.bench.mesh_rounds import Rounds
from loadtests.bench.mesh_servers import BARE, FULL
from loadtests.bench.mesh_stage import CARRIERS, PLAIN, Stage, Target, part_s
from loadtests.bench.servers import PEER

CALLERS: Final = 64
MANY: Final = 256
COUNTS: Final = {1: "1 caller", CALLERS: f"{CALLERS} callers", MANY: f"{MANY} callers"}
RATE_BARS: Final = {FULL: (6.0, 12.0), BARE: (10.0, 18.0)}
"""Over a gRPC stream, and over sockets."""
CPU_BARS: Final = (0.10, 0.05)
LATENCY_BARS: Final = (0.9, 0.25)

_rate: Final = attrgetter("rate")
_cpu_us: Final = attrgetter("cpu_us")


def speed_figures(run: Run, stage: Stage) -> Iterator[Figure]:
    """The figures of this part."""
    rounds = _rounds(run, stage)
    for kind, bars in RATE_BARS.items():
        yield from _rates(rounds, kind, bars)
    for kind in RATE_BARS:
        yield from _costs(rounds, kind)
    yield from _latencies(run, stage)
    yield from _absolute(run, stage, rounds)


def _rounds(run: Run, stage: Stage) -> Rounds[Flow]:
    targets = {
        f"{kind}, {carrier.name}": stage.target(kind, carrier)
        for kind in RATE_BARS
        for carrier in CARRIERS
    }
    flow = partial(stage.flow, callers=CALLERS, seconds=run.stretch_s)
    return Rounds(
        run,
        {
            name: partial(flow, target.get, target.pid)
            for name, target in {PLAIN: stage.plain, **targets}.items()
        },
    )


def _rates(rounds: Rounds[Flow], kind: str, bars: tuple[float, float]) -> Iterator[Figure]:
    for carrier in CARRIERS:
        yield rounds.ratio(
            f"unary calls/s ÷ plain, {CALLERS} callers, {kind} chain, {carrier.name}",
            f"{kind}, {carrier.name}",
            PLAIN,
            of=_rate,
            against=PEER,
            bar=bars[carrier.is_socket],
            direction=Direction.AT_LEAST,
        )


def _costs(rounds: Rounds[Flow], kind: str) -> Iterator[Figure]:
    for carrier in CARRIERS:
        yield rounds.ratio(
            f"CPU a call, both sides ÷ plain, {kind} chain, {carrier.name}",
            f"{kind}, {carrier.name}",
            PLAIN,
            of=_cpu_us,
            against=PEER,
            bar=CPU_BARS[carrier.is_socket],
            direction=Direction.AT_MOST,
        )


def _latencies(run: Run, stage: Stage) -> Iterator[Figure]:
    def measured(target: Target) -> float:
        return median(stage.run(one_by_one(target.get, part_s(run))))

    targets = {PLAIN: stage.plain, **_full(stage)}
    rounds = Rounds(run, {name: partial(measured, target) for name, target in targets.items()})
    for carrier in CARRIERS:
        yield rounds.ratio(
            f"one caller, median latency ÷ plain, {carrier.name}",
            carrier.name,
            PLAIN,
            of=float,
            against=PEER,
            bar=LATENCY_BARS[carrier.is_socket],
            direction=Direction.AT_MOST,
        )
    for name in targets:
        yield run.report(f"… {name}", rounds.middle(name, float) * 1e6, "µs")


def _absolute(run: Run, stage: Stage, rounds: Rounds[Flow]) -> Iterator[Figure]:
    for name, target in {PLAIN: stage.plain, **_full(stage)}.items():
        known = name if name == PLAIN else f"{FULL}, {name}"
        rates = {CALLERS: rounds.middle(known, _rate)}
        for callers in (1, MANY):
            flow = stage.flow(target.get, target.pid, callers=callers, seconds=run.stretch_s)
            rates[callers] = flow.rate
        for callers in sorted(rates):
            yield run.report(f"calls/s, {COUNTS[callers]}, {known}", rates[callers], "/s")
        yield run.report(f"CPU a call, both sides, {known}", rounds.middle(known, _cpu_us), "µs")


def _full(stage: Stage) -> Mapping[str, Target]:
    return {carrier.name: stage.target(FULL, carrier) for carrier in CARRIERS}
