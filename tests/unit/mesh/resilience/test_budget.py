"""The retry budget: whatever the order of calls and retries, it pays no more than it says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mesh.resilience import Budget
from mesh.resilience.budget import FLOOR_PER_S
from mesh.resilience.window import WINDOW_S

STEPS = st.lists(
    st.tuples(st.floats(0, 30), st.integers(0, 2_000), st.integers(0, 300)), max_size=30
)
"""Seconds that pass, calls that are made, and retries that are asked for, again and again."""


@given(STEPS, st.sampled_from([5.0, 20.0, 100.0]))
def test_it_never_pays_more_than_its_share(
    steps: list[tuple[float, int, int]], percent: float
) -> None:
    """Of all calls so far, beside the floor."""
    budget, now, calls, paid = Budget(percent, 0.0), 0.0, 0, 0
    for seconds, made, asked in steps:
        now += seconds
        budget.calls += made
        calls += made
        paid += sum(budget.pay(now) for _ in range(asked))
        assert paid <= FLOOR_PER_S * (WINDOW_S + now) + calls * percent / 100 + 1e-6


def test_at_a_steady_pace_it_pays_its_share() -> None:
    """A fifth of the calls, when half of them ask for a retry."""
    budget, paid = Budget(20.0, 0.0), 0
    for tick in range(1, 2_001):
        budget.calls += 10
        if tick > 1_000:
            paid += sum(budget.pay(tick / 100) for _ in range(5))
    assert 0.2 <= paid / 10_000 <= 0.5


def test_an_idle_client_has_the_floor() -> None:
    """And not what it earned an hour ago."""
    budget = Budget(20.0, 0.0)
    budget.calls += 1_000_000
    assert sum(budget.pay(3_600.0) for _ in range(10_000)) < 1_000
    assert sum(budget.pay(7_200.0) for _ in range(10_000)) == FLOOR_PER_S * WINDOW_S


def test_a_share_of_nothing_pays_nothing() -> None:
    """There is no floor then."""
    budget = Budget(0.0, 0.0)
    budget.calls += 1_000_000
    assert not budget.pay(5.0)


def test_a_burst_of_lost_calls_is_paid_at_once() -> None:
    """As many as a busy client has under way when a process dies."""
    budget = Budget(20.0, 0.0)
    for tick in range(1, 1_001):
        budget.calls += 10
        budget.pay(tick / 100)
    assert all(budget.pay(10.0) for _ in range(512))
