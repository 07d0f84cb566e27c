"""Snowflake ids of the SDK against those of a library that asks nobody.

The peer takes its worker id from its caller, repeats ids when two callers have
the same one or the clock steps back, and answers None when a millisecond is used
up. The classical layout ends at 4.096 M ids/s whoever makes them, so the ratio is
taken with 14 bits for the number within a tick and 8 for the worker; with the
classical layout it is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import repeat
from typing import TYPE_CHECKING

from sequencer.sdk import Layout, LocalRangeSource, LocalWorkerSource, Sequencer

if TYPE_CHECKING:
    from loadtests.bench import Figure, Run

BATCH = 100_000
BLOCK = 1_000
PEER = "SnowflakeGenerator(1).__next__ of snowflake-id"
WIDE = Layout(worker_bits=8, sequence_bits=14)


def snowflake_figures(run: Run) -> Iterator[Figure]:
    """The figures of snowflake sequences."""
    from snowflake import SnowflakeGenerator  # type: ignore[import-untyped]

    workers = LocalWorkerSource()
    workers.create("bench.wide", WIDE)
    workers.create("bench.classical", Layout())
    peer = SnowflakeGenerator(1).__next__
    with Sequencer(LocalRangeSource(), workers=workers) as sequencer:
        wide = sequencer.snowflake("bench.wide")
        classical = sequencer.snowflake("bench.classical")
        yield run.ratio(
            "SNOWFLAKE next_id() ÷ snowflake-id",
            lambda: _called(run, wide.next_id),
            lambda: _called(run, peer),
            against=PEER,
            bar=2,
            direction=">=",
        )
        yield run.ratio(
            "SNOWFLAKE next_id(), classical layout (at most 4.096 M/s) ÷ snowflake-id",
            lambda: _called(run, classical.next_id),
            lambda: _called(run, peer),
            against=PEER,
        )
        yield run.report("SNOWFLAKE next_id()", _called(run, wide.next_id) / 1e6, "M ids/s")
        yield run.report(
            "SNOWFLAKE next_id(), classical layout",
            _called(run, classical.next_id) / 1e6,
            "M ids/s",
        )
        yield run.report(
            f"SNOWFLAKE next_ids({BLOCK}), hand-over alone",
            run.rate(lambda: sum(map(len, wide.next_ids(BLOCK)))) / 1e6,
            "M ids/s",
        )


def _called(run: Run, function: Callable[[], int | None]) -> float:
    """Calls a second."""

    def batch() -> int:
        bound = function
        for _ in repeat(None, BATCH):
            bound()
        return BATCH

    return run.rate(batch)
