"""Suite `loop`: the speed of the golden loop against fixed bars.

What spans services is measured on a whole platform of its own (embedded: SQLite, one
machine), what one service decides in that service alone, in one process. The platform
has stopped by then, so that the parts do not share the processors.
"""

from __future__ import annotations

from collections.abc import Iterator

from loadtests.bench import Figure, Run, admission, claims, events, pause, visible
from loadtests.deployment import own_platform
from loadtests.people import People


def figures(run: Run) -> Iterator[Figure]:
    """Event to task, Pause, admission, claims, and the way of events."""
    with own_platform() as platform, People(platform.targets) as people:
        yield from visible.figures(run, people)
        yield from pause.figures(run, people)
    for part in (admission, claims, events):
        yield from part.figures(run)
