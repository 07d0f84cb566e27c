"""When an effect is shown, and when it must not be."""

from __future__ import annotations

import numpy as np
import pytest

from centers.review.effect import NOT_SHOWN, Effect, Plan, measure
from centers.review.statistics import PPM, Arm

PLAN = Plan(scene_version=501, metric="net_external_inflow", holdout_bp=1_000)
NOBODY = Arm(customers=0, converted=0)

LISTED = 50_000
"""Customers of scenario A10, a tenth of them left alone."""

RUNS = 200


def test_an_effect_is_shown_with_its_interval() -> None:
    """As in scenario A1."""
    found = measure(PLAN, Arm(customers=1_170, converted=95), Arm(customers=130, converted=4))
    assert (found.treated_ppm, found.holdout_ppm, found.lift.lift_ppm) == (81_197, 30_769, 50_427)
    assert not found.hidden_because


@pytest.mark.parametrize(
    ("treated", "holdout", "reason"),
    [
        (Arm(customers=10, converted=3), NOBODY, "NO_HOLDOUT"),
        (NOBODY, Arm(customers=1, converted=0), "NO_TREATED"),
        (NOBODY, NOBODY, "NO_HOLDOUT"),
        (Arm(customers=1_000, converted=300), NOBODY, "SAMPLE_RATIO_MISMATCH"),
        (
            Arm(customers=900, converted=90),
            Arm(customers=200, converted=5),
            "SAMPLE_RATIO_MISMATCH",
        ),
    ],
)
def test_sides_that_cannot_be_compared_are_not(treated: Arm, holdout: Arm, reason: str) -> None:
    """No rate and no lift is shown then; how many there were is, since it is the reason."""
    found = measure(PLAN, treated, holdout)
    assert found.hidden_because == reason
    assert (found.treated_ppm, found.holdout_ppm, found.lift) == (0, 0, NOT_SHOWN)
    assert (found.treated, found.holdout) == (treated, holdout)


def campaign(random: np.random.Generator, *, tau: float, lost: float = 0.0) -> Effect:
    """A list of which a tenth is left alone; the others convert `tau` more often than 4 %."""
    held_out = random.random(LISTED) < 0.1
    converted = random.random(LISTED) < np.where(held_out, 0.04, 0.04 + tau)
    kept = held_out | (random.random(LISTED) >= lost)
    treated, holdout = kept & ~held_out, kept & held_out
    return measure(
        PLAN,
        Arm(customers=int(treated.sum()), converted=int((treated & converted).sum())),
        Arm(customers=int(holdout.sum()), converted=int((holdout & converted).sum())),
    )


@pytest.mark.parametrize("tau", [0.0, 0.01])
def test_the_interval_covers_the_truth(tau: float) -> None:
    """In 95 of 100 runs, within what 200 runs tell apart (A10); none is hidden without reason."""
    random = np.random.default_rng(20_261_125)
    shown = [one for _ in range(RUNS) if not (one := campaign(random, tau=tau)).hidden_because]
    covered = [one.lift.low_ppm <= tau * PPM <= one.lift.high_ppm for one in shown]
    assert len(shown) >= RUNS - 2
    assert sum(covered) >= 0.9 * len(shown)


def test_an_effect_that_is_there_is_found() -> None:
    """Two points on 4 %, in at least 19 of 20 runs (A10)."""
    random = np.random.default_rng(6_670)
    found = [campaign(random, tau=0.02).lift.low_ppm > 0 for _ in range(20)]
    assert sum(found) >= 19


def test_lost_records_of_one_side_hide_the_effect() -> None:
    """8 % of the treated (A10): the draw would be off by more than five standard errors."""
    random = np.random.default_rng(8)
    runs = [campaign(random, tau=0.01, lost=0.08) for _ in range(20)]
    assert {one.hidden_because for one in runs} == {"SAMPLE_RATIO_MISMATCH"}
    assert all(one.lift == NOT_SHOWN for one in runs)
