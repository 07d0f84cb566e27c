"""Branches and staff, and whose customer somebody is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa

from bank.config import Config, Plan
from bank.names import Names
from bank.normal import Floats
from bank.stream import Integers, Rows, Streams

FIRST_AGENT_ID = 9_001
"""Staff numbers of direct-operations agents begin here, or above the managers'."""

MANAGER = "RM"
AGENT = "DO"
NO_BRANCH = 0

_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Headcount:
    """How many branches and staff a bank has.

    Relationship managers have the staff numbers from 1, and manager `i` works in
    branch `(i - 1) mod branches + 1`. Agents work in no branch.
    """

    branches: int
    managers: int
    agents: int

    @classmethod
    def of(cls, config: Config, customers: int) -> Self:
        """The headcount of a bank with so many customers."""
        managers = max(config.fewest_managers, round(customers / config.customers_per_manager))
        branches = round(managers / config.managers_per_branch)
        return cls(
            managers=managers,
            branches=min(max(config.fewest_branches, branches), config.most_branches),
            agents=max(config.fewest_agents, round(customers / config.customers_per_agent)),
        )

    @property
    def first_agent(self) -> int:
        """Staff number of the first agent."""
        return max(FIRST_AGENT_ID, self.managers + 1)

    def branch_of(self, staff_id: Integers) -> Integers:
        """The branch of each member of staff; 0 for agents."""
        branch = (staff_id - 1) % self.branches + 1
        return np.where(staff_id <= self.managers, branch, NO_BRANCH)


class Organization:
    """The branches and staff of one bank, and the rule that gives customers owners."""

    def __init__(self, plan: Plan, streams: Streams) -> None:
        config = plan.config
        self.headcount = Headcount.of(config, plan.customers)
        self._config = config
        self._streams = streams
        self._books = _expected_books(config, self.headcount.managers)
        self._outlets = _outlet_sizes(config, self.headcount.branches)
        managed = min(self._books.sum() / plan.customers, config.most_managed_share)
        self.managed_from_fen = round(plan.mixture.quantile(1 - managed) * 100)
        """Customers with at least these assets have a relationship manager."""

    def branches(self) -> pa.Table:
        """The branches: their number, name, share of customers and whether at home."""
        rows = Rows(1, self.headcount.branches)
        at_home = self._streams.uniforms("branch.city", rows) < self._config.home_city_share
        return pa.table(
            {
                "branch_id": rows.ids,
                "name": [f"第{number}支行" for number in rows.ids],
                "in_home_city": at_home,
                "size_share": self._outlets,
            }
        )

    def staff(self, names: Names) -> pa.Table:
        """The staff: managers first, then agents."""
        count = self.headcount
        agents = np.arange(count.first_agent, count.first_agent + count.agents, dtype=np.int64)
        ids = np.concatenate([np.arange(1, count.managers + 1, dtype=np.int64), agents])
        return pa.table(
            {
                "staff_id": ids,
                "role": [MANAGER] * count.managers + [AGENT] * count.agents,
                "branch_id": count.branch_of(ids),
                "name": names.column("staff", Rows(1, len(ids))),
            }
        )

    def owners(self, aum_fen: Integers, rows: Rows) -> Integers:
        """Staff number of each customer's owner.

        The better customers fall to managers in proportion to their books, the
        rest evenly to the agents.
        """
        count = self.headcount
        draw = self._streams.uniforms("customer.owner", rows)
        owners = count.first_agent + (draw * count.agents).astype(np.int64)
        managed = aum_fen >= self.managed_from_fen
        owners[managed] = 1 + _pick(self._books, draw[managed])
        return owners

    def home_branches(self, owners: Integers, rows: Rows) -> Integers:
        """The outlet that keeps the accounts: the manager's, else one by size."""
        draw = self._streams.uniforms("customer.home_branch", rows)
        by_size = 1 + _pick(self._outlets, draw)
        own = self.headcount.branch_of(owners)
        return np.where(own == NO_BRANCH, by_size, own)


def _expected_books(config: Config, managers: int) -> Floats:
    """How many customers each manager should have.

    Multiples of the golden ratio spread evenly over (0, 1) however many there
    are, so that a bank of eight managers has the same mean book as one of 6,000.
    """
    spread = np.arange(1, managers + 1, dtype=np.float64) * _GOLDEN % 1.0
    range_ = config.largest_book - config.smallest_book
    return config.smallest_book + range_ * spread**config.book_skew


def _outlet_sizes(config: Config, branches: int) -> Floats:
    sizes = np.arange(1, branches + 1, dtype=np.float64) ** -config.outlet_exponent
    return np.asarray(sizes / sizes.sum(), dtype=np.float64)


def _pick(weights: Floats, draw: Floats) -> Integers:
    cumulative = np.cumsum(weights)
    place = np.searchsorted(cumulative, draw * cumulative[-1], side="right")
    return np.asarray(np.minimum(place, len(weights) - 1), dtype=np.int64)
