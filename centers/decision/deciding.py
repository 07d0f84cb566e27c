"""A live version decides on the new events of one request."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from centers.decision.domain import Fact, Judgement, Measured, Trigger, Verdict, Wait
from centers.decision.evaluation import Past, judge, screen
from centers.decision.firing import fire
from centers.decision.launch_rows import Launched
from centers.decision.rule import Rule
from centers.decision.store import DecisionStore
from centers.decision.tally import of_judgements
from mesh.storage import Transaction

TURN: Final = 500
"""Events judged between two turns of the event loop: some milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """How many triggers and waits came of it."""

    fired: int
    waiting: int


class Deciding:
    """Lets versions decide, and keeps what they decided."""

    def __init__(self, store: DecisionStore) -> None:
        self._histories = store.histories
        self._triggers = store.triggers
        self._waits = store.waits
        self._decisions = store.decisions

    async def decide(
        self, tx: Transaction, model: Launched, facts: Sequence[Fact], ids: list[int]
    ) -> Effect:
        """Decide on new events of the model's type, which are in the log already.

        Args:
            tx: the transaction of the request.
            model: the live version.
            facts: by `place`; all of one request.
            ids: for triggers; those that are used are taken from the end.
        """
        judgements = await self._judged(tx, model, facts)
        fired = [
            _trigger(model, each.fact, ids.pop())
            for each in judgements
            if each.verdict is Verdict.FIRED
        ]
        waits = [_wait(model, e.fact) for e in judgements if e.verdict is Verdict.WAITING]
        named = {trigger.business_key: trigger.trigger_id for trigger in fired}
        version = model.model_id, model.version
        await self._decisions.add(tx, *version, judgements, named)
        await self._decisions.count(tx, *version, of_judgements(judgements))
        await self._waits.add(tx, waits)
        await fire(tx, self._triggers, fired)
        return Effect(fired=len(fired), waiting=len(waits))

    async def _judged(
        self, tx: Transaction, model: Launched, facts: Sequence[Fact]
    ) -> Sequence[Judgement]:
        judgements: list[Judgement] = []
        open_: list[Fact] = []
        for fact in facts:
            verdict = screen(model.rule, fact)
            if verdict is None:
                open_.append(fact)
            else:
                judgements.append(Judgement(fact=fact, verdict=verdict))
        if not open_:
            return judgements
        pasts = await self._pasts(tx, model, open_)
        for number, fact in enumerate(open_, 1):
            judgements.append(judge(model.rule, fact, pasts[fact.customer_id]))
            if number % TURN == 0:
                await asyncio.sleep(0)
        return judgements

    async def _pasts(
        self, tx: Transaction, model: Launched, facts: Sequence[Fact]
    ) -> Mapping[int, Past]:
        """What the decisions on these events look back on, read for all customers at once."""
        customers = {fact.customer_id for fact in facts}
        own = await self._own(tx, model.rule, customers, facts)
        others = await self._others(tx, model.rule, customers, facts)
        taken = await self._taken(tx, model, customers, facts)
        return {
            customer: Past(
                own=own.get(customer, ()),
                others=others.get(customer, ()),
                taken=taken.get(customer, set()),
            )
            for customer in customers
        }

    async def _own(
        self, tx: Transaction, rule: Rule, customers: Collection[int], facts: Sequence[Fact]
    ) -> Mapping[int, Sequence[Measured]]:
        if rule.own is None:
            return {}
        return await self._histories.measures(
            tx,
            rule.event_type.name,
            rule.measure,
            customers,
            since_us=facts[0].occurred_us - rule.lead_us,
            until_us=facts[-1].occurred_us,
        )

    async def _others(
        self, tx: Transaction, rule: Rule, customers: Collection[int], facts: Sequence[Fact]
    ) -> Mapping[int, Sequence[Fact]]:
        if rule.absence is None:
            return {}
        return await self._histories.of_customers(
            tx,
            rule.absence.event_type,
            customers,
            since_us=facts[0].occurred_us,
            until_us=rule.due_us(facts[-1]),
        )

    async def _taken(
        self,
        tx: Transaction,
        model: Launched,
        customers: Collection[int],
        facts: Sequence[Fact],
    ) -> Mapping[int, set[int]]:
        if model.rule.absence is not None:
            return {}
        return await self._triggers.taken(
            tx,
            model.model_id,
            model.version,
            customers,
            first=model.rule.window_key(facts[0].occurred_us),
            last=model.rule.window_key(facts[-1].occurred_us),
        )


def _trigger(model: Launched, fact: Fact, trigger_id: int) -> Trigger:
    return Trigger(
        trigger_id=trigger_id,
        model_id=model.model_id,
        model_version=model.version,
        scene_id=model.rule.scene_id,
        customer_id=fact.customer_id,
        event_type=fact.event_type,
        business_key=fact.business_key,
        occurred_us=fact.occurred_us,
        create_us=fact.ingest_us,
        window_key=model.rule.window_key(fact.occurred_us),
    )


def _wait(model: Launched, fact: Fact) -> Wait:
    absence = model.rule.absence
    assert absence is not None, "only a rule with an absence waits"
    return Wait(
        model_id=model.model_id,
        model_version=model.version,
        scene_id=model.rule.scene_id,
        customer_id=fact.customer_id,
        event_type=fact.event_type,
        business_key=fact.business_key,
        occurred_us=fact.occurred_us,
        due_us=model.rule.due_us(fact),
        absent=absence.event_type,
        window_key=model.rule.window_key(fact.occurred_us),
    )
