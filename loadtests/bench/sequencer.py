"""Suite `sequencer`: ids in one process, and in several that share a sequence."""

from __future__ import annotations

from collections.abc import Iterator

from loadtests.bench import Figure, Run, sequencer_client, sequencer_processes


def figures(run: Run) -> Iterator[Figure]:
    """What the client does by itself, and what programs do together."""
    for part in (sequencer_client, sequencer_processes):
        yield from part.figures(run)
