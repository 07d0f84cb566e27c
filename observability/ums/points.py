"""The newest value of every metric of every process, in memory and bounded."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from mesh.clock import Clock

MAX_POINTS: Final = 50_000
SILENT_S: Final = 60.0
"""A process that says nothing for so long is forgotten."""


class Kind(StrEnum):
    """What a number means."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Series:
    """What a point is a point of, within its process. `unit` is OTLP's ("s", "By")."""

    name: str
    kind: Kind
    unit: str
    attributes: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Distribution:
    """Cumulative counts: `counts` has one more entry than `bounds`, for what lies above."""

    total: float
    bounds: tuple[float, ...]
    counts: tuple[int, ...]


Value = float | Distribution


@dataclass(frozen=True, slots=True)
class Process:
    """A process that sends metrics."""

    service: str
    instance: str


@dataclass(slots=True)
class _Heard:
    at: float
    points: dict[Series, Value] = field(default_factory=dict)


class PointTable:
    """Written by the service's loop, read by any thread."""

    def __init__(
        self, clock: Clock, *, max_points: int = MAX_POINTS, silent_s: float = SILENT_S
    ) -> None:
        self._clock = clock
        self._max_points = max_points
        self._silent_s = silent_s
        self._processes: dict[Process, _Heard] = {}
        self._lock = threading.Lock()

    def update(self, process: Process, points: Mapping[Series, Value]) -> int:
        """Keep the points as the newest of their series; how many found no room."""
        with self._lock:
            self._forget_silent()
            heard = self._processes.setdefault(process, _Heard(0.0))
            heard.at = self._clock.monotonic()
            room = self._max_points - self._count()
            refused = 0
            for series, value in points.items():
                if series not in heard.points:
                    if room <= 0:
                        refused += 1
                        continue
                    room -= 1
                heard.points[series] = value
            return refused

    def read(self) -> list[tuple[Process, Series, Value]]:
        """All points of processes that were heard lately."""
        with self._lock:
            self._forget_silent()
            return [
                (process, series, value)
                for process, heard in self._processes.items()
                for series, value in heard.points.items()
            ]

    def _count(self) -> int:
        return sum(len(heard.points) for heard in self._processes.values())

    def _forget_silent(self) -> None:
        before = self._clock.monotonic() - self._silent_s
        for process in [p for p, heard in self._processes.items() if heard.at < before]:
            del self._processes[process]
