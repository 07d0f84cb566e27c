"""Whether what two processes hold is flat: the last quarter of a run against its second."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

MIB: Final = 1 << 20
FEWEST: Final = 8
"""Samples that a verdict takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How much a median may have grown: by a share of itself, or by a number, whichever is more."""

    share: float = 0.0
    number: float


TOLERANCES: Final[Mapping[str, Tolerance]] = {
    "resident_bytes": Tolerance(share=0.05, number=8 * MIB),
    "descriptors": Tolerance(number=4),
    "tasks": Tolerance(number=8),
    "lanes": Tolerance(number=3),
    "calls": Tolerance(number=32),
    "blocks": Tolerance(share=0.25, number=40),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What `counts` said of both processes at one moment."""

    client: Mapping[str, int]
    server: Mapping[str, int]

    def __str__(self) -> str:
        parts = list(TOLERANCES)
        return "   ".join(
            f"{who} " + ", ".join(f"{_shown(part, held[part])} {_named(part)}" for part in parts)
            for who, held in (("client", self.client), ("server", self.server))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """A part of one process: its median in the second quarter, and in the last."""

    who: str
    part: str
    early: float
    late: float

    @property
    def is_flat(self) -> bool:
        """Whether it has not grown by more than is tolerated."""
        allowed = TOLERANCES[self.part]
        return self.late - self.early <= max(allowed.share * self.early, allowed.number)

    def __str__(self) -> str:
        early, late = (_shown(self.part, each) for each in (self.early, self.late))
        return f"{self.who}: {early} → {late} {_named(self.part)}"


def grown(samples: Sequence[Sample]) -> Iterator[Grown]:
    """Each part of both processes."""
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    for who in ("client", "server"):
        for part in TOLERANCES:
            yield Grown(
                who=who,
                part=part,
                early=median(getattr(sample, who)[part] for sample in early),
                late=median(getattr(sample, who)[part] for sample in late),
            )


def complaints(samples: Sequence[Sample]) -> list[str]:
    """What is not flat."""
    if len(samples) < FEWEST:
        return [f"{len(samples)} samples are too few for a verdict"]
    return [f"{each} is not flat" for each in grown(samples) if not each.is_flat]


def table(samples: Sequence[Sample]) -> list[str]:
    """The medians that the verdict compares."""
    if len(samples) < FEWEST:
        return []
    return ["Medians of the second and of the last quarter:", *map(str, grown(samples))]


def _shown(part: str, number: float) -> str:
    return f"{number / MIB:.1f} MiB" if part == "resident_bytes" else f"{number:g}"


def _named(part: str) -> str:
    return "resident" if part == "resident_bytes" else part
