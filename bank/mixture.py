"""The distribution of assets: lognormals and bounded Paretos, weighted.

Components are sampled by their quantile functions and checked by their moments,
so what the data should look like is known exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bank import normal
from bank.normal import Floats


class Component(Protocol):
    """One part of a mixture, over positive amounts in yuan."""

    @property
    def weight(self) -> float:
        """Share of the customers."""

    def quantile(self, rank: Floats) -> Floats:
        """The amounts below which the shares `rank`, in (0, 1), of this part lie."""

    def moment(self, power: int, below: float) -> float:
        """E[x^power · 1(x < below)] of this part alone; power 0 is its CDF."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogNormal:
    """Lognormal with the given median, truncated at `cut`."""

    weight: float
    median: float
    sigma: float
    cut: float = math.inf

    @property
    def _kept(self) -> float:
        return self._below(self.cut, 0)

    def quantile(self, rank: Floats) -> Floats:
        score = normal.quantile(rank * self._kept)
        return np.exp(math.log(self.median) + self.sigma * score)

    def moment(self, power: int, below: float) -> float:
        if below <= 0:
            return 0.0
        whole = self.median**power * math.exp((power * self.sigma) ** 2 / 2)
        return whole * self._below(min(below, self.cut), power) / self._kept

    def _below(self, amount: float, power: int) -> float:
        if amount == math.inf:
            return 1.0
        score = math.log(amount / self.median) / self.sigma
        return normal.cdf(score - power * self.sigma)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pareto:
    """Pareto between `low` and `high`; `alpha` is neither 1 nor 2."""

    weight: float
    alpha: float
    low: float
    high: float

    @property
    def _kept(self) -> float:
        return 1 - float((self.low / self.high) ** self.alpha)

    def quantile(self, rank: Floats) -> Floats:
        return self.low * (1.0 - rank * self._kept) ** (-1.0 / self.alpha)

    def moment(self, power: int, below: float) -> float:
        if below <= self.low:
            return 0.0
        ratio = min(below, self.high) / self.low
        exponent = power - self.alpha
        scale = self.alpha * self.low**power / (self._kept * exponent)
        return float(scale * (ratio**exponent - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """Components in order of wealth; every amount is multiplied by `factor`."""

    components: tuple[Component, ...]
    factor: float = 1.0

    def sample(self, rank: Floats) -> Floats:
        """Amounts in yuan for ranks of wealth in (0, 1).

        Uniform ranks give exactly this distribution: the first component takes
        the lowest ranks, and so on.
        """
        amounts = np.empty_like(rank)
        start = 0.0
        for component in self.components:
            end = start + component.weight
            last = component is self.components[-1]
            inside = (rank > start) & (last | (rank <= end))
            share = np.clip((rank[inside] - start) / component.weight, 1e-15, 1 - 1e-15)
            amounts[inside] = component.quantile(share) * self.factor
            start = end
        return amounts

    def moment(self, power: int, below: float = math.inf) -> float:
        """E[x^power · 1(x < below)], yuan to that power; power 0 is the CDF."""
        parts = (c.weight * c.moment(power, below / self.factor) for c in self.components)
        return sum(parts) * self.factor**power

    def quantile(self, share: float) -> float:
        """The amount in yuan below which this share of the customers lies."""
        low, high = 0.0, 1e12
        while high - low > 1e-9 * high:
            middle = (low + high) / 2
            low, high = (middle, high) if self.moment(0, middle) < share else (low, middle)
        return high
