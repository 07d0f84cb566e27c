"""How waits for an absence end: by the other event, by a reversal, or when their time is up."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from centers.decision.domain import Fact, Verdict, Wait
from centers.decision.store import DecisionStore
from centers.decision.tally import Tally, moved
from mesh.storage import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a wait ended; `trigger_id` is 0 when it did not fire."""

    wait: Wait
    verdict: Verdict
    trigger_id: int = 0


class Waiting:
    """Ends waits, each with the decision that it belongs to."""

    def __init__(self, store: DecisionStore) -> None:
        self._waits = store.waits
        self._decisions = store.decisions

    async def end_by_events(self, tx: Transaction, facts: Sequence[Fact]) -> None:
        """End the waits for which one of these events should have stayed away."""
        by_type: defaultdict[str, defaultdict[int, list[Fact]]]
        by_type = defaultdict(lambda: defaultdict(list))
        for fact in facts:
            if not fact.born_reversed:
                by_type[fact.event_type][fact.customer_id].append(fact)
        for event_type, by_customer in by_type.items():
            waits = await self._waits.for_absence(tx, event_type, by_customer)
            over = [wait for wait in waits if _came(wait, by_customer)]
            await self.end(tx, [End(wait=w, verdict=Verdict.ENDED_BY_EVENT) for w in over])

    async def end_by_reversals(self, tx: Transaction, event_type: str, keys: Sequence[str]) -> None:
        """End the waits of events that were taken back."""
        waits = await self._waits.on_events(tx, event_type, keys)
        await self.end(tx, [End(wait=wait, verdict=Verdict.REVERSED) for wait in waits])

    async def end(self, tx: Transaction, ends: Sequence[End]) -> None:
        """Forget the waits, and say in their decisions and counts how they ended."""
        await self._waits.remove(tx, [each.wait for each in ends])
        await self._decisions.change(tx, [(e.wait, e.verdict, e.trigger_id) for e in ends])
        tallies: defaultdict[tuple[int, int], Tally] = defaultdict(Counter)
        for each in ends:
            version = each.wait.model_id, each.wait.model_version
            tallies[version].update(moved(Verdict.WAITING, each.verdict))
        for (model_id, model_version), tally in tallies.items():
            await self._decisions.count(tx, model_id, model_version, tally)


def _came(wait: Wait, facts: Mapping[int, Sequence[Fact]]) -> bool:
    times = (fact.occurred_us for fact in facts[wait.customer_id])
    return any(wait.occurred_us < time <= wait.due_us for time in times)
