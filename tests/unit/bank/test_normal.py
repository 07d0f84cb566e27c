from __future__ import annotations

from statistics import NormalDist

import numpy as np

from bank import normal


def test_quantile_agrees_with_the_standard_library() -> None:
    """Centre, shoulders and far tails are right to the last digits."""
    tail = 10.0 ** -np.arange(1, 17)
    probability = np.concatenate([np.linspace(0.001, 0.999, 999), tail, 1 - tail[:15]])
    expected = [NormalDist().inv_cdf(float(p)) for p in probability]
    assert np.allclose(normal.quantile(probability), expected, rtol=1e-14, atol=1e-14)


def test_quantile_of_nothing_is_nothing() -> None:
    """An empty block is a block."""
    assert normal.quantile(np.array([])).shape == (0,)
