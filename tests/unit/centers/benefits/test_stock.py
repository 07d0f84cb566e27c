"""X4: stock is balanced after everything that happens to it, whatever its order."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from centers.benefits.domain import State, Stock, Terms
from centers.benefits.errors import BenefitsReason
from engine.benefits.v1 import benefits_pb2
from mesh.errors import MeshError
from tests.unit.centers.benefits.counter import NO_TERMS, Centre, centre

CUSTOMERS = st.integers(1, 6)
REASONS = st.sampled_from("abcd")
NUMBERS = st.integers(0, 40)
LIMIT = NO_TERMS.limit_per_customer


@dataclass(slots=True)
class Model:
    """What should be, counted in the plainest way: grants by their key, in order of arrival."""

    available: int = 0
    issued: int = 0
    grants: dict[tuple[int, str], State] = field(default_factory=dict)
    waiting: list[tuple[int, str]] = field(default_factory=list)

    def issue(self, quantity: int) -> None:
        self.issued += quantity
        self.available += quantity
        while self.available and self.waiting:
            self.available -= 1
            self.grants[self.waiting.pop(0)] = State.GRANTED

    def claim(self, key: tuple[int, str]) -> State | None:
        """The state of the grant; None when the limit refuses it."""
        if key not in self.grants:
            mine = [
                state
                for (customer, _), state in self.grants.items()
                if customer == key[0] and state is not State.REVOKED
            ]
            if len(mine) >= LIMIT:
                return None
            if self.available:
                self.available -= 1
                self.grants[key] = State.GRANTED
            else:
                self.waiting.append(key)
                self.grants[key] = State.WAIT_LISTED
        return self.grants[key]

    def revoke(self, key: tuple[int, str]) -> None:
        before = self.grants[key]
        if before is State.WAIT_LISTED:
            self.waiting.remove(key)
        self.grants[key] = State.REVOKED
        if before is State.GRANTED:
            self.issue(1)
            self.issued -= 1

    def stock(self) -> Stock:
        states = list(self.grants.values())
        return Stock(
            issued=self.issued,
            available=self.available,
            granted=states.count(State.GRANTED),
            redeemed=states.count(State.REDEEMED),
            wait_listed=len(self.waiting),
        )


class Counter(RuleBasedStateMachine):
    """The real use cases on a real database beside the model."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.ids: dict[tuple[int, str], int] = {}
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.shop: Centre = self.run(self.stack.enter_async_context(centre()))
        self.run(self.shop.open())

    def run(self, work: Any) -> Any:
        return self.runner.run(_awaited(work))

    def teardown(self) -> None:
        self.run(self.stack.aclose())
        self.runner.close()

    @rule(quantity=st.integers(1, 5))
    def issue(self, quantity: int) -> None:
        self.run(self.shop.issue(quantity))
        self.model.issue(quantity)

    @rule(customer=CUSTOMERS, reason=REASONS)
    def claim(self, customer: int, reason: str) -> None:
        expected = self.model.claim((customer, reason))
        self.check(self.run(_tried(self.shop.claim(customer, reason))), expected)

    @rule(keys=st.lists(st.tuples(CUSTOMERS, REASONS), min_size=2, max_size=12))
    def rush(self, keys: list[tuple[int, str]]) -> None:
        """Many claim at once, some of them twice; the store takes them as they come."""
        expected = [self.model.claim(key) for key in keys]
        answers = self.run(_together([self.shop.claim(*key) for key in keys]))
        for answer, state in zip(answers, expected, strict=True):
            self.check(answer, state)

    @rule(number=NUMBERS)
    def redeem(self, number: int) -> None:
        key = self.chosen(number)
        if key is None:
            return
        answer = self.run(_tried(self.shop.redeem(self.ids[key])))
        if self.model.grants[key] is State.GRANTED:
            self.model.grants[key] = State.REDEEMED
            self.check(answer, State.REDEEMED)
        else:
            assert answer is BenefitsReason.NOT_GRANTED

    @rule(number=NUMBERS, times=st.integers(1, 3))
    def revoke(self, number: int, times: int) -> None:
        """Once or several times at once: the stock returns once."""
        key = self.chosen(number)
        if key is None:
            return
        works = [self.shop.revoke(self.ids[key]) for _ in range(times)]
        answers = self.run(_together(works))
        if self.model.grants[key] is State.REDEEMED:
            assert answers == [BenefitsReason.ALREADY_REDEEMED] * times
            return
        if self.model.grants[key] is not State.REVOKED:
            self.model.revoke(key)
        for answer in answers:
            self.check(answer, State.REVOKED)

    @invariant()
    def balanced(self) -> None:
        """Counts, grants and model agree: X4, nobody waits in vain, first come first served."""
        counted = self.run(self.shop.stock())
        assert counted.issued == counted.available + counted.granted + counted.redeemed
        assert counted == self.model.stock()
        rows = self.run(self.shop.rows())
        states = {(row.customer_id, row.reason_key): State(row.state) for row in rows}
        assert states == self.model.grants
        waiting = sorted((row for row in rows if row.place), key=lambda row: row.place)
        assert [(row.customer_id, row.reason_key) for row in waiting] == self.model.waiting

    def chosen(self, number: int) -> tuple[int, str] | None:
        keys = sorted(self.ids)
        return keys[number % len(keys)] if keys else None

    def check(self, answer: benefits_pb2.Grant | BenefitsReason, state: State | None) -> None:
        if state is None:
            assert answer is BenefitsReason.LIMIT_REACHED
            return
        assert isinstance(answer, benefits_pb2.Grant)
        assert State(answer.state) is state
        key = (answer.customer_id, answer.reason_key)
        assert self.ids.setdefault(key, answer.grant_id) == answer.grant_id


async def _awaited(work: Any) -> Any:
    return await work


async def _tried(work: Any) -> Any:
    """The answer, or the reason of the refusal."""
    try:
        return await work
    except MeshError as refusal:
        return refusal.reason


async def _together(works: list[Any]) -> list[Any]:
    return list(await asyncio.gather(*map(_tried, works)))


TestX4StockIsBalanced = Counter.TestCase
TestX4StockIsBalanced.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


async def test_a_rush_of_more_than_there_is_oversells_nothing(shop: Centre) -> None:
    """64 claimants, each twice, for 20 (A3): 20 have it, the others wait in their order."""
    await shop.open(Terms(limit_per_customer=1, start=None, end=None), issued=20)
    claims = [shop.claim(customer) for customer in [*range(1, 65), *range(1, 65)]]
    answers = await asyncio.gather(*claims)
    granted = {one.grant_id for one in answers if one.state == benefits_pb2.GRANT_STATE_GRANTED}
    assert len(granted) == 20
    assert len({one.grant_id for one in answers}) == 64
    assert await shop.stock() == Stock(issued=20, granted=20, wait_listed=44)


async def test_a_cancelled_claim_leaves_nothing(shop: Centre) -> None:
    """Neither a grant nor a hole in the stock."""
    await shop.open(issued=1)
    task = asyncio.create_task(shop.claim(1))
    await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    stock, rows = await shop.stock(), await shop.rows()
    assert stock.granted == len(rows)
    assert stock.issued == stock.available + stock.granted
