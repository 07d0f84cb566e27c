"""Suite `sequencer`: ids in one process, in several that share a sequence, and each kind."""

from __future__ import annotations

from collections.abc import Iterator

from loadtests.bench import (
    Figure,
    Run,
    sequencer_client,
    sequencer_gapless,
    sequencer_processes,
    sequencer_snowflake,
)


def figures(run: Run) -> Iterator[Figure]:
    """What the client does by itself, and what programs do together."""
    for part in (sequencer_client, sequencer_snowflake, sequencer_processes, sequencer_gapless):
        yield from part.figures(run)
