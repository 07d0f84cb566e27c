"""Results, credits, and the rule that leads from the one to the other. Pure rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final

from engine.performance.v1 import performance_pb2
from mesh.ownership import Owner

RULE_VERSION: Final = 1
"""Version of the credit rule below; each entry names the one that made it."""

WINDOW: Final = timedelta(days=30)
"""How long after its event an opportunity has results."""

LATE: Final = timedelta(hours=24)
"""How long after it was recorded a result that nobody got still finds its cause."""

FULL_BP: Final = 10_000

LOAN: Final = "LOAN_DISBURSEMENT"
ADD_NOTHING: Final = frozenset({LOAN, "INTERNAL_OWN", "REDEMPTION"})
"""Classes of money that does not come from outside the bank."""


class Metric(IntEnum):
    """What is measured; the numbers are the contract's and the database's."""

    NET_EXTERNAL_INFLOW = performance_pb2.METRIC_NET_EXTERNAL_INFLOW
    LOAN_DRAWDOWN = performance_pb2.METRIC_LOAN_DRAWDOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """What led to a result; 0 for what is not known."""

    scene_version: int = 0
    trigger_id: int = 0
    opportunity_id: int = 0
    task_id: int = 0
    contact_id: int = 0


NO_CHAIN: Final = Chain()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Money that moved, as the bank's system hands it in; known by metric and business key."""

    metric: Metric
    business_key: str
    customer_id: int
    amount_fen: int
    money_class: str
    occurred_time: datetime
    business_date: str

    @property
    def key(self) -> tuple[str, Metric]:
        """What it is known by."""
        return self.business_key, self.metric

    @property
    def counts(self) -> bool:
        """Whether its amount counts for its metric: one amount never counts for both."""
        if self.metric is Metric.LOAN_DRAWDOWN:
            return self.money_class == LOAN
        return self.money_class not in ADD_NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversal:
    """A fact that is taken back, and the business date on which it is."""

    metric: Metric
    business_key: str
    business_date: str
    reason: str

    @property
    def key(self) -> tuple[str, Metric]:
        """What the fact is known by."""
        return self.business_key, self.metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A fact that was recorded. `owners` counts who got it; `counts` is false for what adds 0."""

    result_id: int
    fact: Fact
    counts: bool
    reversed: bool = False
    reverse_date: str = ""
    reverse_reason: str = ""
    owners: int = 0
    chain: Chain = NO_CHAIN
    recorded_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """An entry of the ledger; a reverse one has the amount and the share of what it undoes."""

    credit_id: int
    result_id: int
    metric: Metric
    business_key: str
    customer_id: int
    owner_id: int
    branch_id: int
    amount_fen: int
    share_bp: int
    chain: Chain
    rule_version: int
    business_date: str
    reversed_credit_id: int = 0
    create_time: datetime

    @property
    def is_reverse(self) -> bool:
        """Whether it undoes an entry."""
        return self.reversed_credit_id != 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Opportunity:
    """An opportunity of a treated customer. `acted_on` is false when it was suppressed."""

    opportunity_id: int
    customer_id: int
    scene_version: int
    trigger_id: int
    acted_on: bool
    occurred_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A contact that reached its customer, and when it first did."""

    contact_id: int
    customer_id: int
    opportunity_id: int
    task_id: int
    reached_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What is known of one customer: opportunities, contacts, newest task by opportunity."""

    opportunities: Sequence[Opportunity] = ()
    contacts: Sequence[Contact] = ()
    tasks: dict[int, int] = field(default_factory=dict)


NO_HISTORY: Final = History()


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one owner gets of an amount; owner 0 is nobody."""

    owner_id: int
    branch_id: int
    share_bp: int
    amount_fen: int


def attribute(history: History, occurred: datetime) -> Chain:
    """What led to a result of that time.

    Of the customer's opportunities of the last 30 days, as a treated one, the newest
    that was acted on, else the newest suppressed one; and of its contacts until then
    the last that reached him.
    """
    open_then = [
        one
        for one in history.opportunities
        if timedelta() <= occurred - one.occurred_time <= WINDOW
    ]
    if not open_then:
        return NO_CHAIN
    cause = max(open_then, key=lambda o: (o.acted_on, o.occurred_time, o.opportunity_id))
    reached = [
        one
        for one in history.contacts
        if one.opportunity_id == cause.opportunity_id and one.reached_time <= occurred
    ]
    last = max(reached, key=lambda c: (c.reached_time, c.contact_id), default=None)
    return Chain(
        scene_version=cause.scene_version,
        trigger_id=cause.trigger_id,
        opportunity_id=cause.opportunity_id,
        task_id=last.task_id if last else history.tasks.get(cause.opportunity_id, 0),
        contact_id=last.contact_id if last else 0,
    )


def divide(amount_fen: int, chain: Chain, owner: Owner | None) -> Sequence[Part]:
    """Who gets how much: the customer's owners by their shares, once a contact reached him.

    Without a contact, or without an owner, the whole is nobody's. The parts sum to
    the amount, to the fen.
    """
    shares = owner.shares if owner is not None and chain.contact_id else ()
    if not shares:
        return (Part(owner_id=0, branch_id=0, share_bp=FULL_BP, amount_fen=amount_fen),)
    amounts = by_largest_remainder(amount_fen, [share.share_bp for share in shares])
    return [
        Part(
            owner_id=share.staff_id,
            branch_id=share.branch_id,
            share_bp=share.share_bp,
            amount_fen=amount,
        )
        for share, amount in zip(shares, amounts, strict=True)
    ]


def by_largest_remainder(amount_fen: int, shares_bp: Sequence[int]) -> list[int]:
    """Parts of an amount (at least 0) by shares that sum to 10,000; they sum to the amount.

    Each gets its share rounded down; the fen left over go to the largest remainders,
    of equal ones to the first.
    """
    products = [amount_fen * share for share in shares_bp]
    parts = [product // FULL_BP for product in products]
    by_remainder = sorted(range(len(parts)), key=lambda i: -(products[i] % FULL_BP))
    for index in by_remainder[: amount_fen - sum(parts)]:
        parts[index] += 1
    return parts
