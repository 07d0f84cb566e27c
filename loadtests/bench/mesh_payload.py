"""Requests of 1 KB and answers of 1 and 16 KiB, with more callers than a service has threads."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from loadtests.bench._figure import Direction, Figure
from loadtests.bench.mesh_load import Flow
from loadtests.bench.mesh_rounds import Rounds
from loadtests.bench.mesh_servers import FULL
from loadtests.bench.mesh_stage import CARRIERS, PLAIN, Stage, part_s
from loadtests.bench.servers import PEER

if TYPE_CHECKING:
    from loadtests.bench import Run

BAR: Final = 1.0
ANSWERS_KIB: Final = (1, 16)
CALLERS: Final = (256, 1_000)


def payload_figures(run: Run, stage: Stage) -> Iterator[Figure]:
    """The figures of this part."""
    for kib in ANSWERS_KIB:
        for callers in CALLERS:
            rounds = _rounds(run, stage, kib, callers)
            for carrier in CARRIERS:
                yield rounds.ratio(
                    f"calls/s ÷ plain, 1 KB → {kib} KiB, {callers:,} callers, {carrier.name}",
                    carrier.name,
                    PLAIN,
                    of=attrgetter("rate"),
                    against=PEER,
                    bar=BAR,
                    direction=Direction.AT_LEAST,
                )


def _rounds(run: Run, stage: Stage, kib: int, callers: int) -> Rounds[Flow]:
    targets = {PLAIN: stage.plain, **{c.name: stage.target(FULL, c) for c in CARRIERS}}
    flow = partial(stage.flow, callers=callers, seconds=part_s(run))
    return Rounds(
        run,
        {name: partial(flow, target.page(kib), target.pid) for name, target in targets.items()},
    )
