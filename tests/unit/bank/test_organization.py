from __future__ import annotations

import numpy as np
import pytest

from bank import Config, Customers, Plan, Rows, parse_scale
from bank.organization import Headcount


def bank(scale: str) -> tuple[Customers, dict[str, np.ndarray]]:
    plan = Plan(scale=parse_scale(scale), seed=20260101)
    customers = Customers(plan)
    block = customers.block(Rows(1, plan.customers))
    return customers, {name: block[name].to_numpy() for name in block.column_names}


@pytest.mark.parametrize(
    ("customers", "branches", "managers", "agents"),
    [
        (100, 4, 8, 2),
        (10_000, 4, 8, 2),
        (1_000_000, 60, 500, 40),
        (12_000_000, 290, 6_000, 480),
    ],
)
def test_headcount_follows_the_scale(
    customers: int, branches: int, managers: int, agents: int
) -> None:
    """M is the bank of the acceptance scenarios; small banks keep a minimum."""
    found = Headcount.of(Config(), customers)
    assert (found.branches, found.managers, found.agents) == (branches, managers, agents)


def test_agents_are_numbered_above_the_managers() -> None:
    """From 9001, unless there are as many managers."""
    assert Headcount.of(Config(), 12_000_000).first_agent == 9_001
    assert Headcount.of(Config(), 30_000_000).first_agent == 15_001


def test_managers_take_turns_over_the_branches() -> None:
    """Manager i works in branch (i - 1) mod branches + 1, agents in none."""
    customers, _ = bank("S")
    staff = customers.organization.staff(customers.names).to_pydict()
    assert staff["staff_id"] == [*range(1, 9), 9_001, 9_002]
    assert staff["branch_id"] == [1, 2, 3, 4, 1, 2, 3, 4, 0, 0]
    assert staff["role"] == ["RM"] * 8 + ["DO"] * 2
    assert len(customers.organization.branches()) == 4


def test_everybody_has_an_owner_of_the_right_branch() -> None:
    """Owners are members of staff, and the customer's branch is the owner's."""
    customers, columns = bank("S")
    staff = customers.organization.staff(customers.names).to_pydict()
    branch_of = dict(zip(staff["staff_id"], staff["branch_id"], strict=True))
    owners = columns["owner_id"].tolist()
    assert [branch_of[owner] for owner in owners] == columns["branch_id"].tolist()


@pytest.mark.parametrize("scale", ["S", "50000", "200000"])
def test_books_have_a_workable_size(scale: str) -> None:
    """Managers have about 150 to 600 customers each, agents the many others."""
    _, columns = bank(scale)
    owners = columns["owner_id"]
    books = np.bincount(owners[owners < 9_001])[1:]
    assert books.min() > 120
    assert books.max() < 700
    assert books.mean() == pytest.approx(256, rel=0.1)
    pools = np.bincount(owners[owners >= 9_001] - 9_001)
    assert pools.min() > 0.8 * pools.mean()


def test_the_first_managers_of_the_small_bank_have_a_hundred_customers() -> None:
    """The demonstration's two managers work in branches 1 and 2 with books of some size."""
    _, columns = bank("S")
    for manager in (1, 2):
        book = columns["owner_id"] == manager
        assert book.sum() >= 100
        assert set(columns["branch_id"][book].tolist()) == {manager}


@pytest.mark.parametrize("scale", ["S", "200000"])
def test_everybody_with_fifty_thousand_yuan_has_a_manager(scale: str) -> None:
    """From the second tier on nobody is left to the agents."""
    _, columns = bank(scale)
    assert columns["owner_id"][columns["tier"] >= 2].max() < 9_001


def test_a_tiny_bank_keeps_half_its_customers_for_the_agents() -> None:
    """Managers get smaller books rather than everybody."""
    _, columns = bank("1000")
    assert (columns["owner_id"] < 9_001).mean() == pytest.approx(0.5, abs=0.05)


def test_outlets_differ_in_size_as_zipf_says() -> None:
    """The first outlet keeps more accounts than the last; managed ones stay together."""
    customers, columns = bank("200000")
    homes = np.bincount(columns["home_branch_id"])[1:]
    branches = customers.organization.headcount.branches
    assert len(homes) == branches
    assert homes[0] > 2.5 * homes[-1]
    managed = columns["branch_id"] > 0
    assert np.array_equal(columns["home_branch_id"][managed], columns["branch_id"][managed])
