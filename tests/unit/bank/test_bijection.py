from __future__ import annotations

import numpy as np
import pytest

from bank.bijection import Bijection
from bank.stream import Streams


@pytest.mark.parametrize(("left", "right"), [(1, 1), (7, 11), (300, 200), (1_000, 1_000)])
def test_no_two_numbers_meet(left: int, right: int) -> None:
    """The images of all numbers are all numbers."""
    bijection = Bijection(Streams(3), "cif", left=left, right=right)
    images = bijection.apply(np.arange(bijection.size, dtype=np.int64))
    assert np.array_equal(np.sort(images), np.arange(left * right))


def test_another_key_is_another_permutation() -> None:
    """Seed and name both decide where a number goes."""
    numbers = np.arange(1_000, dtype=np.int64)
    images = [
        Bijection(Streams(seed), name, left=1_000, right=1_000).apply(numbers)
        for seed, name in ((1, "cif"), (2, "cif"), (1, "phone"))
    ]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.count_nonzero(images[one] == images[other]) < 10


def test_neighbours_do_not_stay_together() -> None:
    """Consecutive numbers scatter over the whole range."""
    bijection = Bijection(Streams(3), "cif", left=1_000, right=1_000)
    images = bijection.apply(np.arange(10_000, dtype=np.int64))
    steps = np.diff(images)
    assert len(np.unique(steps)) > 9_000
    assert abs(np.median(images) - bijection.size / 2) < bijection.size / 20
