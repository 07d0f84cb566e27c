"""One measured number and how it is judged."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Direction(StrEnum):
    """Which side of its bar a figure must lie on."""

    AT_LEAST = ">="
    AT_MOST = "<="
    REPORT = "report"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure of one run.

    `value` is the median; `quartiles` are the lower and the upper one. `against`
    names the peer or limit that it is a ratio to. `holds` is None when nothing
    can be said: a report, a noisy run, or a quick run that cannot judge it.
    """

    name: str
    value: float
    unit: str
    against: str = ""
    bar: float | None = None
    direction: Direction = Direction.REPORT
    holds: bool | None = None
    quartiles: tuple[float, float] | None = None
    note: str = ""

    def to_json(self, suite: str) -> dict[str, Any]:
        """The line that `engine bench run --json` prints."""
        return {
            "suite": suite,
            "name": self.name,
            "value": round(self.value, 4),
            "unit": self.unit,
            "against": self.against,
            "bar": self.bar,
            "direction": str(self.direction),
            "holds": self.holds,
        }
