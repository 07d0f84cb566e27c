"""Customers, who owns them, and follow-ups. Pure rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Final

from engine.mesh.v1 import ownership_pb2, policy_pb2
from mesh.clock import to_micros
from mesh.ownership import Owner, Share
from mesh.privacy import holds_personal_number as holds_personal_number  # noqa: PLC0414 - told on

RECENT_FOLLOW_UPS: Final = 5
"""How many follow-ups a portrait shows."""

WHOLE_BP: Final = 10_000
"""What the shares of a customer sum to."""

Cursor = tuple[int, ...]
"""The place of a row in a list, as numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """A customer by token. `tier` and `risk_grade` are the contract's numbers.

    `shares` begins with the owner and sums to 10,000 basis points; it is empty
    when nobody owns the customer.
    """

    customer_id: int
    tier: int
    risk_grade: int
    risk_grade_expiry: datetime | None
    owner_kind: ownership_pb2.OwnerKind.ValueType
    owner_id: int
    branch_id: int
    has_wecom: bool
    senior: bool
    shares: tuple[Share, ...]

    @property
    def owner(self) -> Owner:
        """Who looks after the customer."""
        return Owner(
            customer_id=self.customer_id,
            kind=self.owner_kind,
            owner_id=self.owner_id,
            branch_id=self.branch_id,
            shares=self.shares,
        )


def presumed_kind(owner_id: int, branch_id: int) -> ownership_pb2.OwnerKind.ValueType:
    """The kind of an owner of whom nothing else is said: who has a branch is a manager."""
    if not owner_id:
        return ownership_pb2.OWNER_KIND_UNSPECIFIED
    if branch_id > 0:
        return ownership_pb2.OWNER_KIND_RELATIONSHIP_MANAGER
    return ownership_pb2.OWNER_KIND_DIRECT_OPERATIONS


def undivided(owner_id: int, branch_id: int) -> tuple[Share, ...]:
    """The shares of a customer whom the owner looks after alone."""
    if not owner_id:
        return ()
    return (Share(staff_id=owner_id, share_bp=WHOLE_BP, branch_id=branch_id),)


class Extent(Enum):
    """Which customers a caller lists."""

    NONE = "none"
    OWNED = "owned"
    BRANCH = "branch"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Reach:
    """An extent and whose: the number of a member of staff, or of a branch.

    It holds the customers for whom `mesh.ownership.Owner.is_within` says yes.
    """

    extent: Extent
    of: int = 0

    @classmethod
    def within(cls, scope: policy_pb2.Scope.ValueType, *, staff_id: int, branch_id: int) -> Reach:
        """The reach of a caller; a number of 0 means that he has none."""
        if scope == policy_pb2.SCOPE_ALL:
            return cls(Extent.ALL)
        if scope == policy_pb2.SCOPE_BRANCH and branch_id:
            return cls(Extent.BRANCH, branch_id)
        if scope == policy_pb2.SCOPE_OWN_BOOK and staff_id:
            return cls(Extent.OWNED, staff_id)
        return cls(Extent.NONE)


@dataclass(frozen=True, slots=True)
class Order:
    """How a list of customers is sorted: by these fields, the last of which is unique."""

    fields: tuple[str, ...]
    descending: bool = False

    def cursor(self, customer: Customer) -> Cursor:
        """The place of a customer in the order."""
        return tuple(getattr(customer, field) for field in self.fields)


ORDERS: Final = {
    "customer_id": Order(("customer_id",)),
    "tier": Order(("tier", "customer_id")),
    "tier desc": Order(("tier", "customer_id"), descending=True),
}
"""The orders that a list of customers may have (AIP-132)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """What was said and what comes next. `version` counts its changes from 1."""

    follow_up_id: int
    customer_id: int
    summary: str
    next_step: str
    next_time: datetime | None
    author: str
    create_time: datetime
    update_time: datetime
    version: int = 1

    @property
    def etag(self) -> str:
        """Names this state of it; another state has another etag."""
        return f"{self.follow_up_id:x}-{self.version:x}"

    @property
    def cursor(self) -> Cursor:
        """Its place in the list of a customer's follow-ups, which has the newest first."""
        return to_micros(self.create_time), self.follow_up_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What the author of a follow-up says."""

    summary: str
    next_step: str
    next_time: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """New values for the fields in `fields`: "summary", "next_step", "next_time"."""

    fields: frozenset[str]
    draft: Draft

    def applied(self, present: FollowUp, now: datetime) -> FollowUp:
        """The follow-up after the change."""
        values = {name: getattr(self.draft, name) for name in self.fields}
        return replace(present, **values, update_time=now, version=present.version + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedValues:
    """What the Ark shows of a customer. Not kept anywhere."""

    name: str
    phone: str
    id_card: str
    aum_band: str
    as_of: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Portrait:
    """A customer at a glance; `shown` is None when the Ark does not know him."""

    customer: Customer
    shown: MaskedValues | None
    recent: Sequence[FollowUp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """How much is held."""

    customers: int
    follow_ups: int
