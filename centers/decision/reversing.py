"""What a reversal undoes: triggers that fired, and waits (X10)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from centers.decision.domain import Reversal, Trigger
from centers.decision.firing import take_back
from centers.decision.log_rows import Entry
from centers.decision.store import DecisionStore
from centers.decision.tally import REVERSED_LATER
from centers.decision.waiting import Waiting
from mesh.storage import Transaction


class Reversing:
    """Undoes what events of earlier requests brought about."""

    def __init__(self, store: DecisionStore, waiting: Waiting) -> None:
        self._triggers = store.triggers
        self._decisions = store.decisions
        self._waiting = waiting

    async def undo(self, tx: Transaction, entry: Entry, reversals: Sequence[Reversal]) -> None:
        """Reverse triggers of the events that the entry took back, and end their waits."""
        reasons: dict[tuple[str, str], str] = {}
        for reversal in reversals:
            reasons.setdefault((reversal.event_type, reversal.business_key), reversal.reason)
        for event_type, keys in entry.taken_back.items():
            triggers = await self._triggers.standing(tx, event_type, keys)
            await self._take_back(tx, triggers, reasons)
            await self._waiting.end_by_reversals(tx, event_type, keys)

    async def _take_back(
        self,
        tx: Transaction,
        triggers: Sequence[Trigger],
        reasons: Mapping[tuple[str, str], str],
    ) -> None:
        by_reason: defaultdict[str, list[Trigger]] = defaultdict(list)
        for trigger in triggers:
            by_reason[reasons[trigger.event_type, trigger.business_key]].append(trigger)
        for reason, together in by_reason.items():
            await take_back(tx, self._triggers, together, reason)
        of_version = Counter((each.model_id, each.model_version) for each in triggers)
        for (model_id, version), count in of_version.items():
            await self._decisions.count(tx, model_id, version, Counter({REVERSED_LATER: count}))
