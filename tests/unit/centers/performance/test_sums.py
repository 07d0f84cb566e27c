"""X5: credits of a metric and a day sum to the results, to the fen, at every grain."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from centers.performance.domain import Fact, Metric
from centers.performance.reading import Span
from centers.performance.scope import Reach
from centers.performance.total_rows import Sums
from engine.mesh.v1 import policy_pb2
from tests.unit.centers.performance.book import BANK, INFLOW, LOAN, Centre, centre, reversal

CUSTOMERS = st.integers(1, 3)
KEYS = st.integers(1, 12).map("R-{}".format)
DAYS = st.sampled_from(["2026-01-01", "2026-01-02", "2026-01-03"])
METRICS = st.sampled_from([INFLOW, LOAN])
CLASSES = st.sampled_from(["SALARY", "OWN_OTHER_BANK", "LOAN_DISBURSEMENT", "REDEMPTION"])
SCENES = st.sampled_from([0, 5, 6])
STAFF, BRANCHES = range(31, 36), range(1, 4)


class Busy:
    """A store of which each long read is followed by another result."""

    def __init__(self, office: Centre) -> None:
        self._office = office
        self._keys = count()

    async def scan(self, statement: Any) -> AsyncGenerator[Any, None]:
        async for block in self._office.store.scan(statement):
            yield block
        await self._office.record([self._office.fact(f"B-{next(self._keys)}")])


async def test_x5_the_sums_of_one_answer_are_of_one_moment() -> None:
    """Money comes in while they are added up: owners and nobody still sum to the total."""
    async with centre() as office:
        await office.record([office.fact()])
        sums = Sums(Busy(office))  # type: ignore[arg-type]
        for _ in range(3):
            found = await sums.totals(Span(metric=INFLOW, start="", end=""), BANK)
            owned = sum(one.amount_fen for one in found.owners)
            assert found.total_fen == owned + found.unallocated_fen


@st.composite
def owner_shares(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    """Up to four owners whose shares sum to 10,000."""
    staff = draw(st.lists(st.sampled_from(STAFF), min_size=1, max_size=4, unique=True))
    cuts = sorted(draw(st.lists(st.integers(0, 10_000), min_size=3, max_size=3)))[: len(staff) - 1]
    edges = [0, *cuts, 10_000]
    return [
        (one, edges[i + 1] - edges[i], draw(st.sampled_from(BRANCHES)))
        for i, one in enumerate(staff)
    ]


@dataclass(slots=True)
class Model:
    """What moved: counted results and their reversals by metric and day, as plainly as can be."""

    facts: dict[tuple[str, Metric], Fact] = field(default_factory=dict)
    taken_back: dict[tuple[str, Metric], str] = field(default_factory=dict)
    days: Counter[tuple[Metric, str]] = field(default_factory=Counter)

    def record(self, fact: Fact) -> None:
        if fact.key in self.facts:
            return
        self.facts[fact.key] = fact
        if fact.counts and fact.key not in self.taken_back:
            self.days[fact.metric, fact.business_date] += fact.amount_fen

    def take_back(self, key: tuple[str, Metric], day: str) -> None:
        if key in self.taken_back:
            return
        self.taken_back[key] = day
        fact = self.facts.get(key)
        if fact is not None and fact.counts:
            self.days[fact.metric, day] -= fact.amount_fen


class Ledger(RuleBasedStateMachine):
    """Results, reversals, owners and causes in any order, over the real ledger."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.office: Centre = self.run(self.stack.enter_async_context(centre()))

    def run(self, work: Any) -> Any:
        return self.runner.run(_awaited(work))

    def teardown(self) -> None:
        self.run(self.stack.aclose())
        self.runner.close()

    @initialize(shares=st.tuples(*[owner_shares()] * 3))
    def begin(self, shares: tuple[list[tuple[int, int, int]], ...]) -> None:
        """Some have owners; one of them was reached, another one treated."""
        for customer, owned in enumerate(shares, start=1):
            self.office.book.shares[customer] = owned
        self.opportunity(1, 1, 9)
        self.contact(1, 1, 5)
        self.opportunity(2, 1, 9)

    @rule(customer=CUSTOMERS, shares=owner_shares())
    def assign(self, customer: int, shares: list[tuple[int, int, int]]) -> None:
        self.office.book.shares[customer] = shares

    @rule(
        results=st.lists(
            st.tuples(KEYS, METRICS, CUSTOMERS, st.integers(1, 10**9), CLASSES, DAYS),
            min_size=1,
            max_size=4,
        ),
        reversals=st.lists(st.tuples(KEYS, METRICS, DAYS), max_size=2),
    )
    def record(self, results: list[Any], reversals: list[Any]) -> None:
        facts = [
            self.office.fact(
                key,
                amount,
                metric=metric,
                customer_id=customer,
                money_class=money_class,
                business_date=day,
            )
            for key, metric, customer, amount, money_class, day in results
        ]
        undone = [reversal(key, day, metric=metric) for key, metric, day in reversals]
        self.run(self.office.record(facts, undone))
        for fact in facts:
            self.model.record(fact)
        for one in undone:
            self.model.take_back(one.key, one.business_date)

    @rule(customer=CUSTOMERS, number=st.integers(1, 2), minutes=st.integers(-2, 9))
    def opportunity(self, customer: int, number: int, minutes: int) -> None:
        told = self.office.opportunity(
            number * 10 + customer,
            age=timedelta(minutes=minutes),
            customer_id=customer,
            scene_version=5 + number % 2,
        )
        self.run(self.office.tell(told))

    @rule(customer=CUSTOMERS, number=st.integers(1, 2), minutes=st.integers(-2, 9))
    def contact(self, customer: int, number: int, minutes: int) -> None:
        told = self.office.contact(
            number * 100 + customer,
            opportunity_id=number * 10 + customer,
            age=timedelta(minutes=minutes),
            customer_id=customer,
        )
        self.run(self.office.tell(told))

    @rule(customer=CUSTOMERS, key=KEYS, amount=st.integers(1, 10**9), number=st.integers(1, 9))
    def late(self, customer: int, key: str, amount: int, number: int) -> None:
        """A result, and only then what led to it."""
        self.record([(key, INFLOW, customer, amount, "SALARY", "2026-01-02")], [])
        self.opportunity(customer, number, 9)
        self.contact(customer, number, 5)

    @rule(seconds=st.sampled_from([60, 3_600, 90_000]))
    def wait(self, seconds: int) -> None:
        self.office.clock.advance(seconds)

    @invariant()
    def credits_sum_to_results_by_day(self) -> None:
        """The ledger's own lines, and none of them is undone twice."""
        entries = self.run(self.office.entries())
        days: Counter[tuple[Metric, str]] = Counter()
        for entry in entries:
            days[entry.metric, entry.business_date] += entry.amount_fen
        undone = [entry.reversed_credit_id for entry in entries if entry.is_reverse]
        assert len(set(undone)) == len(undone)
        for key in days.keys() | self.model.days.keys():
            assert days[key] == self.model.days[key]

    @rule(day=st.one_of(st.just(""), DAYS), scene=SCENES)
    def totals_agree_at_every_grain(self, day: str, scene: int) -> None:
        """Bank, scene, branch and owner, for all days and for one."""
        totals = self.totals(BANK, day, scene)
        owned = sum(one.amount_fen for one in totals.owners)
        assert totals.total_fen == totals.unallocated_fen + owned
        assert sum(self.totals(branch(one), day, scene).total_fen for one in BRANCHES) == owned
        assert sum(self.totals(desk(one), day, scene).total_fen for one in STAFF) == owned

    @rule()
    def what_stands_is_counted(self) -> None:
        standing = [
            fact
            for key, fact in self.model.facts.items()
            if fact.counts and fact.metric is INFLOW and key not in self.model.taken_back
        ]
        totals = self.totals(BANK, "", 0)
        assert totals.results == len(standing)
        assert totals.total_fen == sum(fact.amount_fen for fact in standing)

    def totals(self, reach: Reach, day: str, scene: int) -> Any:
        return self.run(self.office.totals(reach, start=day, end=day, scene_version=scene))


def branch(number: int) -> Reach:
    return Reach(scope=policy_pb2.SCOPE_BRANCH, branch_id=number)


def desk(staff_id: int) -> Reach:
    return Reach(scope=policy_pb2.SCOPE_OWN_BOOK, staff_id=staff_id)


async def _awaited(work: Any) -> Any:
    return await work


TestX5CreditsSumToResults = Ledger.TestCase
TestX5CreditsSumToResults.settings = settings(
    max_examples=15,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
