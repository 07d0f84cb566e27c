"""Ages, and how wealth depends on them."""

from __future__ import annotations

import numpy as np

from bank import normal
from bank.config import Config
from bank.normal import Floats
from bank.stream import Integers

_LATENT_GRID = np.linspace(-9.0, 9.0, 2_001)


class Ages:
    """The distribution of ages, and how wealth depends on age.

    Wealth is ranked by `effect of the age + standard normal`; the rank is the
    value of that sum's own distribution function. So ranks rise with age and yet
    are uniform over all customers, which leaves the mixture of assets as it is.
    """

    def __init__(self, config: Config) -> None:
        self.oldest = config.oldest
        self._ages = np.arange(config.youngest, config.oldest + 1)
        shares = np.array([_age_share(config.ages, int(age)) for age in self._ages])
        shares /= shares.sum()
        self._cumulative = np.cumsum(shares)[:-1]
        decades = np.minimum(np.arange(self.oldest + 1), config.wealth_peak_age) / 10
        self._effect = config.wealth_per_decade * decades
        self._effect -= shares @ self._effect[self._ages]
        self._distribution = self._latent_distribution(shares)

    def draw(self, uniforms: Floats) -> Integers:
        """Ages in whole years."""
        return self._ages[np.searchsorted(self._cumulative, uniforms, side="right")]

    def wealth_rank(self, age: Integers, uniforms: Floats) -> Floats:
        """Ranks of wealth, 0 (poorest) to 1, uniform over all customers."""
        latent = self._effect[age] + normal.quantile(uniforms)
        return np.interp(latent, _LATENT_GRID, self._distribution)

    def _latent_distribution(self, shares: Floats) -> Floats:
        effects, places = np.unique(self._effect[self._ages], return_inverse=True)
        weights = np.bincount(places, weights=shares)
        cdf = np.vectorize(normal.cdf, otypes=[np.float64])
        return sum(
            (
                weight * cdf(_LATENT_GRID - effect)
                for weight, effect in zip(weights, effects, strict=True)
            ),
            start=np.zeros_like(_LATENT_GRID),
        )


def _age_share(mixture: tuple[tuple[float, float, float], ...], age: int) -> float:
    return sum(
        weight * (normal.cdf((age + 1 - mean) / deviation) - normal.cdf((age - mean) / deviation))
        for weight, mean, deviation in mixture
    )
