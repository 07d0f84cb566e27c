"""Suitability: whether a product may be offered to a customer. Pure rules.

After the suitability rules of the regulator (NFRA order 2025-7): the higher of
the issuer's and the bank's risk counts, a grade must be in force, and customers
of 65 or older need a step of extra care before a product of high risk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from engine.customer.v1 import customer_pb2
from engine.product.v1 import product_pb2

Reason: TypeAlias = product_pb2.SuitabilityReason.ValueType
FULL_BP: Final = 10_000

HIGH_RISK: Final = product_pb2.PRODUCT_RISK_R4
"""From this risk on seniors need extra care."""

CREDIT: Final = frozenset(
    {
        product_pb2.PRODUCT_CLASS_PERSONAL_LOAN,
        product_pb2.PRODUCT_CLASS_MORTGAGE,
        product_pb2.PRODUCT_CLASS_CARD,
    }
)
"""Classes that no money is placed in: they have no risk and need no grade."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What suitability needs to know of a customer. `grade_expiry` is None when never assessed."""

    customer_id: int
    tier: customer_pb2.Tier.ValueType
    risk_grade: customer_pb2.RiskGrade.ValueType
    grade_expiry: datetime | None
    senior: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A product as it is on the shelf, or was before it was suspended."""

    product_id: int
    version: int
    product: product_pb2.Product
    on_sale: bool

    @property
    def risk(self) -> product_pb2.ProductRisk.ValueType:
        """The higher of the issuer's risk and the bank's own."""
        return risk_of(self.product)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What a check found; the receipt. `risk_grade` is the customer's at that moment."""

    receipt_id: int
    customer_id: int
    offer: Offer
    reasons: tuple[Reason, ...]
    risk_grade: customer_pb2.RiskGrade.ValueType
    time: datetime

    @property
    def suitable(self) -> bool:
        """Whether nothing stands against it."""
        return not self.reasons


def risk_of(product: product_pb2.Product) -> product_pb2.ProductRisk.ValueType:
    """The risk that counts."""
    return max(product.issuer_risk, product.own_risk)


def obstacles(
    offer: Offer, profile: Profile | None, *, extra_care_done: bool, now: datetime
) -> tuple[Reason, ...]:
    """All that stands against offering the product; empty when it suits.

    A grade ends at its expiry, to the microsecond.
    """
    found: list[Reason] = []
    if not offer.on_sale:
        found.append(product_pb2.SUITABILITY_REASON_NOT_ON_SALE)
    if profile is None:
        return (*found, product_pb2.SUITABILITY_REASON_UNKNOWN_CUSTOMER)
    if profile.tier < offer.product.audience:
        found.append(product_pb2.SUITABILITY_REASON_AUDIENCE)
    if offer.product.product_class not in CREDIT:
        found.extend(_risk_obstacles(offer, profile, now))
        if profile.senior and offer.risk >= HIGH_RISK and not extra_care_done:
            found.append(product_pb2.SUITABILITY_REASON_EXTRA_CARE_REQUIRED)
    return tuple(found)


def _risk_obstacles(offer: Offer, profile: Profile, now: datetime) -> Sequence[Reason]:
    if not profile.risk_grade or profile.grade_expiry is None:
        return [product_pb2.SUITABILITY_REASON_NOT_ASSESSED]
    found: list[Reason] = []
    if profile.grade_expiry <= now:
        found.append(product_pb2.SUITABILITY_REASON_GRADE_EXPIRED)
    if offer.risk > profile.risk_grade:
        found.append(product_pb2.SUITABILITY_REASON_RISK_TOO_HIGH)
    return found


def shares_hold(lines: Sequence[product_pb2.ProposalLine]) -> bool:
    """Whether the shares sum to the whole, each product once."""
    products = {line.product_id for line in lines}
    return len(products) == len(lines) and sum(line.share_bp for line in lines) == FULL_BP
