from __future__ import annotations

import math

import numpy as np
import pytest

from bank.config import SCALES, Config
from bank.mixture import Component, LogNormal, Mixture, Pareto

RANKS = (np.arange(400_000) + 0.5) / 400_000
PARTS: list[Component] = [
    LogNormal(weight=1, median=30, sigma=0.8),
    LogNormal(weight=1, median=1_500, sigma=1.6, cut=50_000),
    Pareto(weight=1, alpha=1.06, low=120_000, high=500_000),
    Pareto(weight=1, alpha=2.5, low=2, high=900),
]


@pytest.mark.parametrize("part", PARTS, ids=str)
@pytest.mark.parametrize("power", [0, 1, 2])
def test_moments_are_those_of_the_samples(part: Component, power: int) -> None:
    """The closed forms agree with a dense grid of quantiles, below any amount."""
    amounts = part.quantile(RANKS)
    for below in (float(np.median(amounts)), float(amounts[-40_000]), math.inf):
        kept = np.where(amounts < below, amounts**power, 0.0)
        assert part.moment(power, below) == pytest.approx(kept.mean(), rel=0.01)


@pytest.mark.parametrize("part", PARTS, ids=str)
def test_quantiles_rise(part: Component) -> None:
    """A higher rank never has less."""
    assert np.all(np.diff(part.quantile(RANKS)) >= 0)


@pytest.mark.parametrize("part", PARTS, ids=str)
def test_nobody_has_less_than_nothing(part: Component) -> None:
    """No share lies below the lowest amount."""
    assert part.moment(0, 0) == part.moment(1, 0) == 0


def test_cut_and_bounds_hold() -> None:
    """Truncated components keep within their limits, at the extremes too."""
    ends = np.array([1e-15, 1 - 1e-15])
    assert PARTS[1].quantile(ends)[1] <= 50_000
    low, high = PARTS[2].quantile(ends)
    assert low >= 120_000
    assert high <= 500_000 * (1 + 1e-9)


def test_uniform_ranks_give_the_mixture() -> None:
    """Sampling by rank gives each component its weight and its amounts."""
    mixture = Mixture(components=Config().aum)
    amounts = mixture.sample(RANKS)
    for below in (100, 10_000, 500_000, 10_000_000):
        assert (amounts < below).mean() == pytest.approx(mixture.moment(0, below), abs=1e-4)
    assert amounts.mean() == pytest.approx(mixture.moment(1), rel=0.01)


def test_factor_scales_every_amount() -> None:
    """The assets of L are 0.8 times those of the same ranks without a factor."""
    plain, large = Config().mixture(SCALES["M"]), Config().mixture(SCALES["L"])
    assert np.allclose(large.sample(RANKS), 0.8 * plain.sample(RANKS))
    assert large.moment(1) == pytest.approx(0.8 * plain.moment(1))
    assert large.moment(0, 400_000) == pytest.approx(plain.moment(0, 500_000))


@pytest.mark.parametrize("share", [0.01, 0.5, 0.872, 0.9999])
def test_quantile_is_the_inverse_of_the_distribution(share: float) -> None:
    """The amount found has that share of the customers below it."""
    mixture = Config().mixture(SCALES["M"])
    assert mixture.moment(0, mixture.quantile(share)) == pytest.approx(share, abs=1e-8)


def test_weights_add_up_to_everybody() -> None:
    """The configured components are all customers."""
    assert sum(part.weight for part in Config().aum) == pytest.approx(1.0)
