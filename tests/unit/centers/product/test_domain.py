"""What suits whom."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centers.product.domain import Offer, Profile, obstacles, risk_of, shares_hold
from engine.customer.v1 import customer_pb2
from engine.product.v1 import product_pb2

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
PROFILE = Profile(
    customer_id=7,
    tier=customer_pb2.TIER_AUM20,
    risk_grade=customer_pb2.RISK_GRADE_C3,
    grade_expiry=NOON,
    senior=False,
)


def offer(risk: int, *, on_sale: bool = True, credit: bool = False) -> Offer:
    kind = product_pb2.PRODUCT_CLASS_PERSONAL_LOAN if credit else product_pb2.PRODUCT_CLASS_FUND
    level = product_pb2.ProductRisk.ValueType(risk)
    product = product_pb2.Product(product_class=kind, issuer_risk=level, own_risk=level)
    return Offer(product_id=1, version=1, product=product, on_sale=on_sale)


def against(
    given_offer: Offer,
    profile: Profile | None = PROFILE,
    *,
    now: datetime = NOON - SECOND,
    extra_care_done: bool = False,
) -> set[str]:
    found = obstacles(given_offer, profile, extra_care_done=extra_care_done, now=now)
    return {product_pb2.SuitabilityReason.Name(r)[len("SUITABILITY_REASON_") :] for r in found}


def test_a_product_up_to_the_customers_grade_suits() -> None:
    """R3 for C3 is fine, R4 is not."""
    assert against(offer(3)) == set()
    assert against(offer(4)) == {"RISK_TOO_HIGH"}


def test_a_grade_ends_at_its_expiry() -> None:
    """One second before noon it holds; at noon it does not."""
    assert against(offer(1), now=NOON - SECOND) == set()
    assert against(offer(1), now=NOON) == {"GRADE_EXPIRED"}


def test_the_higher_of_two_risks_counts() -> None:
    """Whoever rates it higher, issuer or bank."""
    low, high = product_pb2.PRODUCT_RISK_R2, product_pb2.PRODUCT_RISK_R5
    assert risk_of(product_pb2.Product(issuer_risk=low, own_risk=high)) == high
    assert risk_of(product_pb2.Product(issuer_risk=high, own_risk=low)) == high


def test_seniors_need_extra_care_before_high_risk() -> None:
    """The step opens what the grade allows, and nothing beyond it."""
    senior = replace(PROFILE, senior=True, risk_grade=customer_pb2.RISK_GRADE_C5)
    assert against(offer(4), senior) == {"EXTRA_CARE_REQUIRED"}
    assert against(offer(4), senior, extra_care_done=True) == set()
    assert against(offer(3), senior) == set()


def test_credit_needs_no_grade() -> None:
    """Nothing is placed in a loan."""
    unassessed = replace(PROFILE, risk_grade=customer_pb2.RISK_GRADE_UNSPECIFIED, grade_expiry=None)
    assert against(offer(0, credit=True), unassessed) == set()
    assert against(offer(1), unassessed) == {"NOT_ASSESSED"}


def test_all_obstacles_are_named() -> None:
    """Who asks sees at once all that stands in the way."""
    poor = replace(PROFILE, tier=customer_pb2.TIER_AUM0)
    wanted = offer(5, on_sale=False)
    wanted.product.audience = customer_pb2.TIER_AUM50
    found = against(wanted, poor, now=NOON)
    assert found == {"NOT_ON_SALE", "AUDIENCE", "GRADE_EXPIRED", "RISK_TOO_HIGH"}


def test_nothing_suits_a_customer_who_is_unknown() -> None:
    """What is not known is refused."""
    assert against(offer(1), None) == {"UNKNOWN_CUSTOMER"}


@given(risk=st.integers(1, 5), grade=st.integers(0, 5), senior=st.booleans(), care=st.booleans())
def test_risk_never_exceeds_the_grade(risk: int, grade: int, senior: bool, care: bool) -> None:
    """Whatever else holds, what suits lies within the grade."""
    profile = replace(PROFILE, risk_grade=customer_pb2.RiskGrade.ValueType(grade), senior=senior)
    if not against(offer(risk), profile, extra_care_done=care):
        assert risk <= grade


@pytest.mark.parametrize(
    ("lines", "holds"),
    [
        ([(1, 10_000)], True),
        ([(1, 4_000), (2, 6_000)], True),
        ([(1, 5_000)], False),
        ([(1, 5_000), (1, 5_000)], False),
    ],
)
def test_shares_of_a_proposal_make_a_whole(lines: list[tuple[int, int]], holds: bool) -> None:
    """They sum to it, and no product comes twice."""
    made = [product_pb2.ProposalLine(product_id=p, share_bp=bp) for p, bp in lines]
    assert shares_hold(made) is holds
