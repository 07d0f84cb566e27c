"""The statistics of an effect. Pure functions; what leaves them are whole numbers.

Rates and their difference are computed as fractions, and rounded once, to even.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

PPM: Final = 1_000_000
WHOLE_BP: Final = 10_000

Z_95: Final = 1.959964
"""Half the width of a 95 % interval, in standard errors."""

EXACT_UP_TO: Final = 1_000
"""Customers up to whom the draw is judged by the binomial distribution itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One side of a comparison: `converted` of `customers`."""

    customers: int
    converted: int

    @property
    def rate(self) -> Fraction:
        """Share that converted; 0 of nobody."""
        return Fraction(self.converted, self.customers) if self.customers else Fraction(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lift:
    """A difference of rates with its 95 % interval, in millionths."""

    lift_ppm: int
    low_ppm: int
    high_ppm: int


def ppm(share: Fraction | float) -> int:
    """A share in millionths, rounded to even."""
    return round(share * PPM)


def basis_points(part: int, whole: int) -> int:
    """A share in basis points, rounded to even; 0 of nothing."""
    return round(Fraction(part * WHOLE_BP, whole)) if whole else 0


def lift(treated: Arm, holdout: Arm) -> Lift:
    """How much higher the rate of the treated is, with the interval of Wald.

    Source: A. Agresti, Categorical Data Analysis, 3rd ed., 3.1.1. Both sides must
    have customers.
    """
    difference = treated.rate - holdout.rate
    half = Z_95 * math.sqrt(_variance(treated) + _variance(holdout))
    return Lift(
        lift_ppm=ppm(difference),
        low_ppm=ppm(float(difference) - half),
        high_ppm=ppm(float(difference) + half),
    )


def sample_ratio_p(treated: int, holdout: int, holdout_bp: int) -> float:
    """How likely sides at least as uneven are, had each customer been drawn as planned.

    Exact (two-sided binomial) for few customers, Pearson's chi-square with one
    degree of freedom for many. 1 for nobody.
    """
    total = treated + holdout
    if not 0 < holdout_bp < WHOLE_BP:
        return float((treated if holdout_bp else holdout) == 0)
    if total <= EXACT_UP_TO:
        return _binomial_p(total, holdout, holdout_bp)
    expected = Fraction(total * holdout_bp, WHOLE_BP)
    variance = expected * Fraction(WHOLE_BP - holdout_bp, WHOLE_BP)
    return chi_square_p(float((holdout - expected) ** 2 / variance))


def chi_square_p(statistic: float) -> float:
    """Upper tail of the chi-square distribution with one degree of freedom."""
    return math.erfc(math.sqrt(statistic / 2))


def _variance(arm: Arm) -> Fraction:
    return arm.rate * (1 - arm.rate) / arm.customers


def _binomial_p(total: int, drawn: int, share_bp: int) -> float:
    """Probability of all numbers drawn that are not likelier than this one."""
    weights = list(_weights(total, Fraction(share_bp, WHOLE_BP)))
    tail = sum(weight for weight in weights if weight <= weights[drawn])
    return float(Fraction(tail, sum(weights)))


def _weights(total: int, share: Fraction) -> Iterator[int]:
    """What the probabilities of drawing 0, 1, … of `total` are proportional to."""
    hit, miss = share.numerator, share.denominator - share.numerator
    weight = miss**total
    for drawn in range(total + 1):
        yield weight
        weight = weight * (total - drawn) * hit // ((drawn + 1) * miss)
