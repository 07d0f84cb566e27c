"""The credit rule: what counts, what led to it, and who gets how much."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from centers.performance.domain import (
    NO_CHAIN,
    WINDOW,
    Chain,
    Contact,
    Fact,
    History,
    Metric,
    Opportunity,
    attribute,
    by_largest_remainder,
    divide,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@st.composite
def shares(draw: st.DrawFn) -> list[int]:
    """Up to six shares that sum to 10,000."""
    cuts = sorted(draw(st.lists(st.integers(0, 10_000), max_size=5)))
    return [high - low for low, high in zip([0, *cuts], [*cuts, 10_000], strict=True)]


def opportunity(opportunity_id: int, age: timedelta, *, acted_on: bool = True) -> Opportunity:
    return Opportunity(
        opportunity_id=opportunity_id,
        customer_id=1,
        scene_version=5,
        trigger_id=6,
        acted_on=acted_on,
        occurred_time=NOW - age,
    )


def contact(contact_id: int, opportunity_id: int, age: timedelta) -> Contact:
    return Contact(
        contact_id=contact_id,
        customer_id=1,
        opportunity_id=opportunity_id,
        task_id=opportunity_id * 10,
        reached_time=NOW - age,
    )


@given(st.integers(0, 10**14), shares())
def test_parts_sum_to_the_amount_to_the_fen(amount: int, parts_bp: list[int]) -> None:
    """And none is more than a fen from its exact share."""
    parts = by_largest_remainder(amount, parts_bp)
    assert sum(parts) == amount
    for part, share in zip(parts, parts_bp, strict=True):
        assert abs(part * 10_000 - amount * share) < 10_000
        assert part >= 0


@pytest.mark.parametrize(
    ("amount", "parts_bp", "parts"),
    [
        (100, [7_000, 3_000], [70, 30]),
        (1, [7_000, 3_000], [1, 0]),
        (5, [5_000, 5_000], [3, 2]),  # of equal remainders the first
        (100, [3_333, 3_333, 3_334], [33, 33, 34]),
    ],
)
def test_the_fen_left_over_go_to_the_largest_remainders(
    amount: int, parts_bp: list[int], parts: list[int]
) -> None:
    """Each other share is rounded down."""
    assert by_largest_remainder(amount, parts_bp) == parts


@pytest.mark.parametrize(
    ("money_class", "inflow", "loan"),
    [
        ("SALARY", True, False),
        ("OWN_OTHER_BANK", True, False),
        ("THIRD_PARTY", True, False),
        ("REDEMPTION", False, False),
        ("INTERNAL_OWN", False, False),
        ("LOAN_DISBURSEMENT", False, True),
    ],
)
def test_money_counts_for_one_metric_at_most(money_class: str, *, inflow: bool, loan: bool) -> None:
    """What does not come from outside adds 0 to the inflow (A17)."""

    def counts(metric: Metric) -> bool:
        return Fact(
            metric=metric,
            business_key="R-1",
            customer_id=1,
            amount_fen=1,
            money_class=money_class,
            occurred_time=NOW,
            business_date="2026-01-01",
        ).counts

    assert (counts(Metric.NET_EXTERNAL_INFLOW), counts(Metric.LOAN_DRAWDOWN)) == (inflow, loan)


CAUSES: list[tuple[str, History, Chain]] = [
    ("nothing known", History(), NO_CHAIN),
    ("event after the money", History(opportunities=[opportunity(1, -HOUR)]), NO_CHAIN),
    ("window over", History(opportunities=[opportunity(1, WINDOW + HOUR)]), NO_CHAIN),
    (
        "last day of the window, not contacted",
        History(opportunities=[opportunity(1, WINDOW)], tasks={1: 10}),
        Chain(scene_version=5, trigger_id=6, opportunity_id=1, task_id=10),
    ),
    (
        "the newest wins, with its own contacts alone",
        History(
            opportunities=[opportunity(1, 3 * HOUR), opportunity(2, 2 * HOUR)],
            contacts=[contact(8, 1, HOUR)],
        ),
        Chain(scene_version=5, trigger_id=6, opportunity_id=2),
    ),
    (
        "a suppressed one takes nothing from the one that was acted on",
        History(
            opportunities=[opportunity(1, 3 * HOUR), opportunity(2, HOUR, acted_on=False)],
            contacts=[contact(8, 1, HOUR)],
        ),
        Chain(scene_version=5, trigger_id=6, opportunity_id=1, task_id=10, contact_id=8),
    ),
    (
        "the last contact before the money",
        History(
            opportunities=[opportunity(1, 9 * HOUR)],
            contacts=[contact(7, 1, 3 * HOUR), contact(8, 1, HOUR), contact(9, 1, -HOUR)],
        ),
        Chain(scene_version=5, trigger_id=6, opportunity_id=1, task_id=10, contact_id=8),
    ),
]


@pytest.mark.parametrize(("case", "history", "chain"), CAUSES, ids=[case for case, *_ in CAUSES])
def test_a_result_is_led_to_its_cause(case: str, history: History, chain: Any) -> None:
    """By the newest opportunity of 30 days and its last contact."""
    assert attribute(history, NOW) == chain


def test_what_nobody_owns_is_nobodys() -> None:
    """Though the customer was reached."""
    reached = Chain(opportunity_id=1, contact_id=8)
    (part,) = divide(100, reached, None)
    assert (part.owner_id, part.share_bp, part.amount_fen) == (0, 10_000, 100)
