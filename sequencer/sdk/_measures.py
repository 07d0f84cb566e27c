"""How all sequences of a process fare, as the numbers that it tells."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, TypeVar

from sequencer.sdk._sequence import SequenceStats

if TYPE_CHECKING:  # a client has no meters
    from mesh.telemetry import Meters

Stats: TypeAlias = tuple[SequenceStats, ...]

T = TypeVar("T")

MOST_COVERED_S: Final = 86_400.0
"""What is told when the ids held last longer than a day, or none are used."""

KEPT_S: Final = 1.0
"""Numbers that are asked for within so many seconds are of one look."""


class Measured(Protocol):
    """As much of a sequence as is told of it."""

    name: str

    def stats(self) -> SequenceStats:
        """The present figures."""


class Measures:
    """Totals over sequences: a name has no labels, and sequences may be many.

    Gauges `sequencer.client.`: `ids_held`, `ids_per_s`, `covered_s` (how long the
    ids held last without the sequencer, for the sequence that runs out first),
    `refill_latency_s` (the longest of late). Counters: `leases`, `waits` (users who
    found no id), `ids_wasted`, `fence_jumps`.

    Args:
        meters: where they are asked for, on a thread of the exporter's.
        monotonic: seconds that never step back.
    """

    def __init__(self, meters: Meters, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._sequences: dict[str, Measured] = {}
        self._looked_at = float("-inf")
        self._looks: Stats = ()
        for name, read in _GAUGES.items():
            meters.gauge(f"sequencer.client.{name}", self._reading(read))
        for name, count in _COUNTERS.items():
            meters.total(f"sequencer.client.{name}", self._reading(count))

    def add(self, sequence: Measured) -> None:
        """Let a sequence count, once."""
        self._sequences[sequence.name] = sequence

    def _reading(self, read: Callable[[Stats], T]) -> Callable[[], T]:
        return lambda: read(self._stats())

    def _stats(self) -> Stats:
        now = self._monotonic()
        if now - self._looked_at >= KEPT_S:
            self._looks = tuple(sequence.stats() for sequence in list(self._sequences.values()))
            self._looked_at = now
        return self._looks


_GAUGES: Final[dict[str, Callable[[Stats], float]]] = {
    "ids_held": lambda stats: sum(each.held for each in stats),
    "ids_per_s": lambda stats: sum(each.rate_per_s for each in stats),
    "covered_s": lambda stats: min([MOST_COVERED_S, *(each.covered_s for each in stats)]),
    "refill_latency_s": lambda stats: max((each.refill_latency_s for each in stats), default=0.0),
}
_COUNTERS: Final[dict[str, Callable[[Stats], int]]] = {
    "leases": lambda stats: sum(each.leases for each in stats),
    "waits": lambda stats: sum(each.waits for each in stats),
    "ids_wasted": lambda stats: sum(each.wasted for each in stats),
    "fence_jumps": lambda stats: sum(each.fence_jumps for each in stats),
}
