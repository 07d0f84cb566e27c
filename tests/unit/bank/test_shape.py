from __future__ import annotations

import numpy as np
import pytest

from bank import Customers, Plan, Rows, check_shape, parse_scale
from bank.shape import expected_lorenz, expected_tiers

PLAN = Plan(scale=parse_scale("100000"), seed=4)
AUM_FEN = Customers(PLAN).aum_fen(Rows(1, PLAN.customers))


def off(aum_fen: np.ndarray, plan: Plan = PLAN) -> set[str]:
    return {finding.name for finding in check_shape(aum_fen, plan) if not finding.holds}


@pytest.mark.parametrize("scale", ["S", "50000", "100000"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_generated_data_passes(scale: str, seed: int) -> None:
    """Whatever the seed, the data looks as planned."""
    plan = Plan(scale=parse_scale(scale), seed=seed)
    assert not off(Customers(plan).aum_fen(Rows(1, plan.customers)), plan)


def test_a_missing_tier_is_found() -> None:
    """Taking the richest away shows in their tiers and in the mean."""
    poor = AUM_FEN[AUM_FEN < 50_000_000]
    assert {"customers in tier AUM50", "customers in tier AUM100"} <= off(poor)


def test_doubled_assets_are_found() -> None:
    """Every tier above the first grows by more than chance allows."""
    assert {"customers in tier AUM5", "customers in tier AUM300"} <= off(AUM_FEN * 2)


def test_equal_assets_are_found() -> None:
    """A bank where all have the mean has no Lorenz curve."""
    equal = np.full_like(AUM_FEN, int(PLAN.mixture.moment(1) * 100))
    assert "share of assets below 50,000 yuan" in off(equal)


def test_expectations_are_complete() -> None:
    """Tiers cover everybody, and Lorenz shares rise towards everything."""
    assert sum(expected_tiers(PLAN.mixture)) == pytest.approx(1)
    shares = list(expected_lorenz(PLAN.mixture).values())
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] < 1


def test_a_finding_reads_as_a_line() -> None:
    """Verdict, name, figure and what was expected."""
    first, *_ = check_shape(AUM_FEN, PLAN)
    assert str(first).startswith("ok  customers in tier AUM0: ")
    assert "expected" in str(first)
