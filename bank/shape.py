"""Does the data look as planned? Expected figures are exact, from the mixture.

A tolerance has two parts: what the specification allows (2 percentage points of
Lorenz shares, 3 % of counts and of the mean) and three standard errors, because a
bank is a sample: a small one, or its few richest customers, may stray further.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bank.config import TIER_FLOORS_YUAN, TIERS, Plan
from bank.mixture import Mixture
from bank.stream import Integers

LORENZ_YUAN = (10_000, 50_000, 200_000, 500_000, 1_000_000, 3_000_000, 10_000_000)
"""Amounts whose holders' share of all assets is compared."""

_LORENZ_TOLERANCE = 0.02
_COUNT_TOLERANCE = 0.03
_ERRORS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One figure of the data beside what it should be."""

    name: str
    expected: float
    actual: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """True when the figure lies within the tolerance."""
        return abs(self.actual - self.expected) <= self.tolerance

    def __str__(self) -> str:
        verdict = "ok" if self.holds else "OFF"
        return (
            f"{verdict:3} {self.name}: {self.actual:,.4g}, "
            f"expected {self.expected:,.4g} ± {self.tolerance:,.2g}"
        )


def check_shape(aum_fen: Integers, plan: Plan) -> list[Finding]:
    """Compare all customers' assets with the plan: tiers, Lorenz points, mean."""
    yuan = np.sort(aum_fen) / 100
    mixture = plan.mixture
    return [*_tiers(yuan, mixture), *_lorenz(yuan, mixture), _mean(yuan, mixture)]


def expected_tiers(mixture: Mixture) -> list[float]:
    """Shares of the customers in each tier, poorest first."""
    ranks = [mixture.moment(0, floor) for floor in TIER_FLOORS_YUAN]
    return [high - low for low, high in zip(ranks, [*ranks[1:], 1.0], strict=True)]


def expected_lorenz(mixture: Mixture) -> dict[int, float]:
    """Share of all assets that is held by those with less than each amount in yuan."""
    mean = mixture.moment(1)
    return {amount: mixture.moment(1, amount) / mean for amount in LORENZ_YUAN}


def _tiers(yuan: np.ndarray, mixture: Mixture) -> list[Finding]:
    bounds = np.append(np.searchsorted(yuan, TIER_FLOORS_YUAN), len(yuan))
    counts = np.diff(bounds)
    findings = []
    for name, share, count in zip(TIERS, expected_tiers(mixture), counts, strict=True):
        expected = share * len(yuan)
        error = math.sqrt(expected * (1 - share))
        findings.append(
            Finding(
                name=f"customers in tier {name}",
                expected=expected,
                actual=float(count),
                tolerance=_COUNT_TOLERANCE * expected + _ERRORS * error,
            )
        )
    return findings


def _lorenz(yuan: np.ndarray, mixture: Mixture) -> list[Finding]:
    held = np.append(0.0, np.cumsum(yuan))
    places = np.searchsorted(yuan, LORENZ_YUAN)
    return [
        Finding(
            name=f"share of assets below {amount:,} yuan",
            expected=share,
            actual=float(held[place] / held[-1]),
            tolerance=_LORENZ_TOLERANCE + _ERRORS * _share_error(mixture, amount, len(yuan)),
        )
        for (amount, share), place in zip(expected_lorenz(mixture).items(), places, strict=True)
    ]


def _share_error(mixture: Mixture, amount: float, count: int) -> float:
    """Standard error of a share of the total, by the delta method for a ratio."""
    mean = mixture.moment(1)
    share = mixture.moment(1, amount) / mean
    spread = (1 - 2 * share) * mixture.moment(2, amount) + share**2 * mixture.moment(2)
    return math.sqrt(spread / count) / mean


def _mean(yuan: np.ndarray, mixture: Mixture) -> Finding:
    mean = mixture.moment(1)
    error = math.sqrt((mixture.moment(2) - mean**2) / len(yuan))
    return Finding(
        name="mean assets in yuan",
        expected=mean,
        actual=float(yuan.mean()),
        tolerance=_COUNT_TOLERANCE * mean + _ERRORS * error,
    )
