from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bank.stream import Choice, Rows, Streams

WHOLE = Streams(7).words("customer.aum", Rows(0, 4_000))


@given(first=st.integers(0, 3_000), count=st.integers(0, 1_000))
def test_any_block_is_a_cut_out_of_the_whole(first: int, count: int) -> None:
    """A word depends on its place alone, not on the block it is asked for in."""
    block = Streams(7).words("customer.aum", Rows(first, count))
    assert np.array_equal(block, WHOLE[first : first + count])


@pytest.mark.parametrize(("seed", "name"), [(8, "customer.aum"), (7, "customer.age")])
def test_seed_and_name_each_make_another_stream(seed: int, name: str) -> None:
    """Streams of another seed or another column share nothing."""
    other = Streams(seed).words(name, Rows(0, 4_000))
    assert not np.any(other == WHOLE)


def test_uniforms_lie_strictly_inside_the_unit_interval() -> None:
    """Neither bound occurs, so quantile functions stay finite."""
    draws = Streams(1).uniforms("x", Rows(0, 200_000))
    assert 0 < draws.min() < 1e-4
    assert 1 - 1e-4 < draws.max() < 1
    assert abs(draws.mean() - 0.5) < 0.003


def test_below_reaches_every_number_and_not_the_bound() -> None:
    """Whole numbers from 0 up to but not including the bound."""
    assert set(Streams(1).below(7, "x", Rows(0, 1_000)).tolist()) == set(range(7))


def test_choice_follows_its_weights() -> None:
    """Alternatives come as often as their weights say, from each part of the word."""
    words = Streams(1).words("x", Rows(0, 100_000))
    choice = Choice([1, 2, 7])
    for part in range(4):
        shares = np.bincount(choice.pick(words, part)) / len(words)
        assert np.allclose(shares, [0.1, 0.2, 0.7], atol=0.01)
