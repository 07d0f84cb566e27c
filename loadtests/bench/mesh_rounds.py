"""Several ways measured in turn, again and again; figures are made of what was found.

One stretch of the peer serves the figures of all who were measured in the same round,
and a stretch may answer several numbers: a rate, and what a call cost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median
from typing import Any, Generic, TypeVar

from loadtests.bench import Direction, Figure, Run

Found = TypeVar("Found")
"""What one stretch answers."""


class Rounds(Generic[Found]):
    """Measures one round that does not count, then as many as a run has pairs.

    Args:
        run: the run.
        measures: by name; each lasts for one stretch.
    """

    def __init__(self, run: Run, measures: Mapping[str, Callable[[], Found]]) -> None:
        self._run = run
        self._found: dict[str, list[Found]] = {name: [] for name in measures}
        for _ in range(run.pairs + 1):
            for name, measure in measures.items():
                self._found[name].append(measure())

    def ratio(
        self, name: str, ours: str, peer: str, of: Callable[[Found], float], **judged: Any
    ) -> Figure:
        """Ours ÷ peer's of the number that `of` reads, judged as `Run.ratio` does."""
        mine, theirs = map(of, self._found[ours]), map(of, self._found[peer])
        return self._run.ratio(name, lambda: next(mine), lambda: next(theirs), **judged)

    def added(
        self, name: str, more: str, less: str, of: Callable[[Found], float], **judged: Any
    ) -> Figure:
        """By how much `more` is above `less`, in each round; judged as `Run.judged` does."""
        high, low = self._counted(more, of), self._counted(less, of)
        moved = (max(low) - min(low)) / median(low)
        differences = [mine - theirs for mine, theirs in zip(high, low, strict=True)]
        return self._run.judged(
            name, differences, direction=Direction.AT_MOST, moved=moved, **judged
        )

    def middle(self, name: str, of: Callable[[Found], float]) -> float:
        """The median of the number that `of` reads."""
        return median(self._counted(name, of))

    def _counted(self, name: str, of: Callable[[Found], float]) -> list[float]:
        return [of(found) for found in self._found[name][1:]]
