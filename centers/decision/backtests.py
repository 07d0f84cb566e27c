"""Use cases of backtests: what a model would have done on the events that are held."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, TypeVar

from google.protobuf.message import Message

from centers.decision import wire
from centers.decision.backtest_rows import Head, Tested
from centers.decision.domain import DAY_US, Judgement, Verdict
from centers.decision.errors import DecisionReason
from centers.decision.replay import replay
from centers.decision.reserve import Ids
from centers.decision.rule import Rule, rule_of
from centers.decision.store import DecisionStore
from centers.decision.tally import RECEIVED, REVERSED_LATER, Tally, count, statistics
from engine.decision.v1 import decision_pb2 as pb
from mesh import audit
from mesh.clock import Clock, from_micros, to_micros
from mesh.definitions import Definitions, Version
from mesh.errors import MeshError
from mesh.paging import Page, PageRequest
from mesh.zone import BANK_ZONE

DEFAULT_DAYS: Final = 90
EXAMPLES: Final = 10

KEPT: Final = timedelta(days=30)
"""How long backtests and their customers are kept."""

TURN: Final = 200
"""Decisions between two turns of the event loop: some milliseconds."""

Answer = TypeVar("Answer", bound=Message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The events that a backtest looks at: those after `start_us` up to `end_us`."""

    start_us: int
    end_us: int

    def days(self) -> Iterable[date]:
        """The days in the bank's zone that it touches, the oldest first."""
        first, last = _day(self.start_us), _day(self.end_us)
        return (first + timedelta(days=n) for n in range((last - first).days + 1))


class Findings:
    """What a backtest has come to so far."""

    def __init__(self, rule: Rule, period: Period) -> None:
        self.tally: Tally = Counter()
        self.customers: list[int] = []
        self._rule = rule
        self._period = period
        self._days: Counter[date] = Counter()

    def add(self, judgement: Judgement) -> None:
        """Count a decision on an event of the period; one before it only took its window."""
        fact = judgement.fact
        if fact.occurred_us <= self._period.start_us:
            return
        self.tally[RECEIVED] += 1
        count(self.tally, judgement)
        if judgement.verdict is not Verdict.FIRED:
            return
        self._days[_day(self._rule.due_us(fact))] += 1
        self.tally[REVERSED_LATER] += fact.reversed_us is not None
        if not self.customers or self.customers[-1] != fact.customer_id:
            self.customers.append(fact.customer_id)

    def message(self) -> pb.Backtest:
        """What it found, as the contract shows it."""
        days = self._period.days()
        return pb.Backtest(
            start_time=wire.timestamp(self._period.start_us),
            end_time=wire.timestamp(self._period.end_us),
            statistics=statistics(self.tally),
            days=[pb.DayCount(day=day.isoformat(), triggers=self._days[day]) for day in days],
            examples=self.customers[:EXAMPLES],
        )


class Backtests:
    """Makes backtests and answers what they found."""

    def __init__(
        self,
        store: DecisionStore,
        definitions: Definitions[pb.Model],
        ids: Ids,
        clock: Clock,
    ) -> None:
        self._store = store
        self._definitions = definitions
        self._ids = ids
        self._clock = clock

    async def make(
        self, model_id: int, days: int, respond: Callable[[pb.Backtest], Answer]
    ) -> Answer:
        """Evaluate the newest version on the events of the last days; 0 means 90.

        Raises:
            MeshError: DEFINITION_NOT_FOUND or IDS_UNAVAILABLE.
        """
        began = self._clock.monotonic()
        version = await self._definitions.get(model_id)
        rule, days = rule_of(version.body), days or DEFAULT_DAYS
        backtest_id = await self._ids.next()
        end_us = to_micros(self._clock.now())
        findings = await self.findings(rule, Period(start_us=end_us - days * DAY_US, end_us=end_us))
        found = findings.message()
        found.backtest_id, found.model_id = backtest_id, model_id
        found.model_version = version.version
        found.create_time.CopyFrom(wire.timestamp(end_us))
        found.took_ms = round((self._clock.monotonic() - began) * 1_000)
        audit.note(object=f"backtest_id={backtest_id}")
        answer = respond(found)
        async with self._store.transaction() as tx:
            tested = _tested(version, found, findings, days)
            forget_us = end_us - int(KEPT.total_seconds()) * 1_000_000
            await self._store.backtests.add(tx, tested, forget_before_us=forget_us)
            tx.answer(answer)
        return answer

    async def findings(self, rule: Rule, period: Period) -> Findings:
        """What a rule comes to on the events of a period. Takes a turn of the loop often."""
        findings = Findings(rule, period)
        # The first window may have begun before the period.
        since_us = rule.window_key(period.start_us) * rule.cooldown_us
        types = {rule.event_type.name}
        if rule.absence is not None:
            types.add(rule.absence.event_type)
        scan = self._store.histories.by_customer(
            types, since_us=since_us - rule.lead_us, until_us=period.end_us
        )
        decided = 0
        async with aclosing(scan) as customers:
            async for facts in customers:
                for judgement in replay(rule, facts, since_us=since_us, now_us=period.end_us):
                    findings.add(judgement)
                    decided += 1
                    if decided % TURN == 0:
                        await asyncio.sleep(0)
        return findings

    async def customers(self, backtest_id: int, request: PageRequest) -> tuple[Head, Page[int]]:
        """A page of the customers that a backtest fired on, rising.

        Raises:
            MeshError: BACKTEST_NOT_FOUND or PAGE_TOKEN_INVALID.
        """
        head = await self._store.backtests.head(backtest_id)
        if head is None:
            raise MeshError(DecisionReason.BACKTEST_NOT_FOUND)
        after = request.after_numbers(1)
        found = await self._store.backtests.customers(
            backtest_id, after=after[0] if after else 0, limit=request.limit
        )
        return head, request.page(found, lambda token: (token,))


def _tested(
    version: Version[pb.Model], found: pb.Backtest, findings: Findings, days: int
) -> Tested:
    return Tested(
        backtest_id=found.backtest_id,
        model_id=version.definition_id,
        version_id=version.version_id,
        revision=version.revision,
        scene_id=version.body.scene_id,
        days=days,
        create_us=wire.micros(found.create_time),
        customer_ids=findings.customers,
        body=found,
    )


def _day(since_1970_us: int) -> date:
    return from_micros(since_1970_us).astimezone(BANK_ZONE).date()
