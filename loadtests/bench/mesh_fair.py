"""Whether one caller who sends a hundred times as much keeps the others waiting.

The others call at fixed times, each over a channel of his own. The heavy caller is a process
of its own. It calls all the time, or it hands in a hundred calls at once whenever one of the
others hands in one: then a call waits behind a burst, unless callers take turns.

The server has one processor and all callers the other: else the kernel would let the server
wait for the heavy caller now and then, and that would be measured.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
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
ALONE: Final = "without it"
AT_ONCE: Final = {"evenly": 10, "in bursts": HEAVY}
"""Calls that the heavy one hands in at once: fewer would cost it more than the server."""


def fair_figures(run: Run, stage: Stage) -> Iterator[Figure]:
    """The figures of this part."""
    with _apart(stage.ways.mesh["pid"]), Flood.started(stage.ways.mesh) as flood:
        for carrier in CARRIERS:
            yield from _fair(run, stage, carrier, flood)


@contextmanager
def _apart(server: int) -> Iterator[None]:
    """The process `server` has a processor of its own; this one and its children have another.

    Where there is but one, nothing changes.
    """
    usual = os.sched_getaffinity(0)
    first, *others = sorted(usual)
    _bind(server, {first})
    _bind(os.getpid(), set(others[:1]) or usual)
    try:
        yield
    finally:
        _bind(server, usual)
        _bind(os.getpid(), usual)


def _bind(pid: int, processors: set[int]) -> None:
    """Let all threads of a process run on these processors; those that it starts do as well."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), processors)


def _fair(run: Run, stage: Stage, carrier: Carrier, flood: Flood) -> Iterator[Figure]:
    others = [stage.another(FULL, carrier) for _ in range(OTHERS)]
    seconds = tail_s(run)

    def beside(at_once: int) -> float:
        with flood.sending(carrier, seconds, at_once):
            return _p99(stage, others, seconds)

    measures = {how: partial(beside, at_once) for how, at_once in AT_ONCE.items()}
    rounds = Rounds(run, {ALONE: partial(_p99, stage, others, seconds), **measures})
    for how in AT_ONCE:
        yield rounds.ratio(
            f"others' p99 beside a caller of {HEAVY} × their rate, {how}, {carrier.name}",
            how,
            ALONE,
            of=float,
            against="the same without that caller",
            bar=BAR,
            direction=Direction.AT_MOST,
        )
    for how in (ALONE, *AT_ONCE):
        yield run.report(f"… p99 {how}, {carrier.name}", rounds.middle(how, float) * 1e3, "ms")
    yield run.report(f"… the heavy caller's calls/s, {carrier.name}", flood.rate, "/s")


def _p99(stage: Stage, others: list[Target], seconds: float) -> float:
    rate = RATE_PER_S * len(others)
    return p99(stage.run(open_loop([other.get for other in others], rate=rate, seconds=seconds)))
