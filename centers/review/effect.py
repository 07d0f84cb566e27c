"""What a version of a scene did, and when it is not shown. Pure rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from centers.review.statistics import Arm, Lift, lift, ppm, sample_ratio_p

MISMATCH_BELOW: Final = 0.001
"""Probability of the draw below which the sides cannot be compared."""

SAMPLE_RATIO_MISMATCH: Final = "SAMPLE_RATIO_MISMATCH"
NO_HOLDOUT: Final = "NO_HOLDOUT"
NO_TREATED: Final = "NO_TREATED"

NOT_SHOWN: Final = Lift(lift_ppm=0, low_ppm=0, high_ppm=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a version of a scene set out to do."""

    scene_version: int
    metric: str
    holdout_bp: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What it did to all who were drawn, whatever became of them (intention to treat).

    Rates are in millionths; they and the lift are 0 when `hidden_because` says why.
    """

    plan: Plan
    treated: Arm
    holdout: Arm
    treated_ppm: int
    holdout_ppm: int
    lift: Lift
    sample_ratio_p_ppm: int
    hidden_because: str


def measure(plan: Plan, treated: Arm, holdout: Arm) -> Effect:
    """Compare both sides, unless they cannot be compared."""
    p = sample_ratio_p(treated.customers, holdout.customers, plan.holdout_bp)
    hidden = _hidden_because(p, treated, holdout)
    return Effect(
        plan=plan,
        treated=treated,
        holdout=holdout,
        treated_ppm=0 if hidden else ppm(treated.rate),
        holdout_ppm=0 if hidden else ppm(holdout.rate),
        lift=NOT_SHOWN if hidden else lift(treated, holdout),
        sample_ratio_p_ppm=ppm(p),
        hidden_because=hidden,
    )


def _hidden_because(p: float, treated: Arm, holdout: Arm) -> str:
    if p < MISMATCH_BELOW:
        return SAMPLE_RATIO_MISMATCH
    if not holdout.customers:
        return NO_HOLDOUT
    return "" if treated.customers else NO_TREATED
