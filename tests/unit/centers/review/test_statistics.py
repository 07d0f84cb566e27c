"""Rates, intervals and the judgement of a draw, against values known elsewhere."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centers.review.statistics import (
    EXACT_UP_TO,
    Arm,
    Lift,
    basis_points,
    chi_square_p,
    lift,
    ppm,
    sample_ratio_p,
)


def test_the_lift_of_a1() -> None:
    """5.0 points, 95 % between 1.7 and 8.4."""
    found = lift(Arm(customers=1_170, converted=95), Arm(customers=130, converted=4))
    assert found == Lift(lift_ppm=50_427, low_ppm=16_869, high_ppm=83_986)


def test_no_difference_has_an_interval_around_nothing() -> None:
    """p = 0.5 on both sides of 100: 1.959964 · √(2 · 0.25 / 100)."""
    arm = Arm(customers=100, converted=50)
    assert lift(arm, arm) == Lift(lift_ppm=0, low_ppm=-138_590, high_ppm=138_590)


def test_nobody_and_everybody_have_no_spread() -> None:
    """The interval of Wald is a point there."""
    found = lift(Arm(customers=10, converted=10), Arm(customers=10, converted=0))
    assert found == Lift(lift_ppm=PPM_ALL, low_ppm=PPM_ALL, high_ppm=PPM_ALL)


PPM_ALL = 1_000_000


@pytest.mark.parametrize(
    ("statistic", "p"),
    [(0.0, 1.0), (2.705543, 0.1), (3.841459, 0.05), (6.634897, 0.01), (10.827566, 0.001)],
)
def test_the_tail_of_chi_square(statistic: float, p: float) -> None:
    """The critical values of the tables, one degree of freedom."""
    assert chi_square_p(statistic) == pytest.approx(p, rel=1e-6)


def test_a_draw_as_planned_is_as_likely_as_can_be() -> None:
    """130 of 1,300 at 10 %."""
    assert sample_ratio_p(1_170, 130, 1_000) == 1.0


def test_a_few_customers_are_judged_exactly() -> None:
    """3 of 5 at 10 %: the probabilities of 3, 4 and 5 drawn sum to 0.00856."""
    assert sample_ratio_p(2, 3, 1_000) == pytest.approx(0.00856, abs=1e-9)
    assert sample_ratio_p(5, 5, 5_000) == 1.0
    assert sample_ratio_p(8, 2, 5_000) == pytest.approx(112 / 1_024)


def test_a_lost_tenth_of_one_side_shows() -> None:
    """41,400 against 5,000 at 10 %: z = 5.6."""
    assert sample_ratio_p(41_400, 5_000, 1_000) < 1e-7
    assert sample_ratio_p(45_000, 5_000, 1_000) == 1.0


@pytest.mark.parametrize(("treated", "holdout", "p"), [(7, 0, 1.0), (7, 1, 0.0), (0, 0, 1.0)])
def test_where_nobody_is_to_be_held_out_nobody_is(treated: int, holdout: int, p: float) -> None:
    """One who is was not drawn as planned."""
    assert sample_ratio_p(treated, holdout, 0) == p


@given(holdout=st.integers(60, 140))
def test_both_ways_of_judging_agree_where_they_meet(holdout: int) -> None:
    """The exact one and the approximation, for as many as the exact one takes."""
    total = EXACT_UP_TO
    exact = sample_ratio_p(total - holdout, holdout, 1_000)
    approximate = chi_square_p((holdout - 100) ** 2 / 90)
    assert exact == pytest.approx(approximate, abs=0.05)


@given(treated=st.integers(0, 300), holdout=st.integers(0, 300), bp=st.integers(1, 5_000))
def test_a_probability_is_one(treated: int, holdout: int, bp: int) -> None:
    """Between 0 and 1, whatever was drawn."""
    assert 0.0 <= sample_ratio_p(treated, holdout, bp) <= 1.0


def test_shares_are_rounded_to_even() -> None:
    """Halves go to the even neighbour; of nothing there is no share."""
    assert [basis_points(n, 20_000) for n in (1, 3, 5)] == [0, 2, 2]
    assert ppm(Fraction(1, 2_000_000)) == 0
    assert ppm(Fraction(3, 2_000_000)) == 2
    assert basis_points(5, 0) == 0
