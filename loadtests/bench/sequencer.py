"""Suite `sequencer`: ids in one process, in several that share a sequence, and each kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from loadtests.bench import sequencer_client, sequencer_processes
from loadtests.bench.sequencer_gapless import gapless_figures
from loadtests.bench.sequencer_serials import serial_figures
from loadtests.bench.sequencer_server import server_figures
from loadtests.bench.sequencer_snowflake import snowflake_figures
from loadtests.bench.sequencer_strict import strict_figures

if TYPE_CHECKING:
    from loadtests.bench import Figure, Run

PARTS = (
    sequencer_client.figures,
    snowflake_figures,
    serial_figures,
    sequencer_processes.figures,
    strict_figures,
    server_figures,
    gapless_figures,
)


def figures(run: Run) -> Iterator[Figure]:
    """The figures of all parts."""
    for part in PARTS:
        yield from part(run)
