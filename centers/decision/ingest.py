"""Takes events in: logs what is new, reverses, and lets live models decide, in one transaction.

Nothing in the transaction waits for anything but its statements, and these take
many rows at once: the store has one writer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from google.protobuf.message import Message

from centers.decision import intake
from centers.decision.deciding import Deciding
from centers.decision.domain import Event, Outcome, Reversal
from centers.decision.errors import DecisionReason
from centers.decision.launch_rows import Launched
from centers.decision.log_rows import Entry
from centers.decision.reserve import Reserve
from centers.decision.reversing import Reversing
from centers.decision.store import DecisionStore
from centers.decision.tally import DUPLICATES, RECEIVED
from centers.decision.waiting import Waiting
from mesh.clock import Clock, to_micros
from mesh.errors import MeshError
from mesh.storage import Transaction

ATTEMPTS: Final = 3
"""Tries with more ids: models may be launched between taking ids and using them."""


class _MoreIds(Exception):  # noqa: N818 - what is wanted, not what went wrong
    """The live models may need so many ids."""

    def __init__(self, count: int) -> None:
        self.count = count
        super().__init__(count)


class Ingest:
    """Takes requests of events and reversals in.

    Args:
        store: the service's database.
        ids: ids of triggers.
        clock: dates requests.
        waits_added: called when events began to wait.
    """

    def __init__(
        self,
        store: DecisionStore,
        ids: Reserve,
        clock: Clock,
        waits_added: Callable[[], None],
    ) -> None:
        self._store = store
        self._deciding = Deciding(store)
        self._waiting = Waiting(store)
        self._reversing = Reversing(store, self._waiting)
        self._ids = ids
        self._clock = clock
        self._waits_added = waits_added

    async def take_in(
        self,
        events: Sequence[Event],
        reversals: Sequence[Reversal],
        *,
        respond: Callable[[Outcome], Message] | None = None,
    ) -> Outcome:
        """Store what is new and let the live models decide on it.

        What `respond` makes of the outcome is kept with it as the answer of the call,
        which a call with a request id needs.

        Raises:
            MeshError: EVENT_TYPE_UNKNOWN, FIELD_UNKNOWN, EVENT_INVALID or TIME_INVALID, with
                the places; LAUNCHES_TOO_FAST or IDS_UNAVAILABLE.
        """
        intake.check(events, reversals, to_micros(self._clock.now()))
        by_type = Counter(event.event_type for event in events)
        needed = _most(by_type, await self._store.launches.models_by_type())
        for _ in range(ATTEMPTS):
            ids = await self._ids.take(needed)
            try:
                async with self._store.transaction() as tx:
                    outcome, waiting = await self._apply(tx, events, reversals, ids)
                    if respond is not None:
                        tx.answer(respond(outcome))
            except _MoreIds as more:
                self._ids.give_back(ids)
                needed = more.count
                continue
            # After a failure they are lost instead: the transaction may have used them.
            self._ids.give_back(ids)
            if waiting:
                self._waits_added()
            return outcome
        raise MeshError(DecisionReason.LAUNCHES_TOO_FAST, retry_after_s=1.0)

    async def _apply(
        self,
        tx: Transaction,
        events: Sequence[Event],
        reversals: Sequence[Reversal],
        ids: list[int],
    ) -> tuple[Outcome, int]:
        """Outcome, and the number of events that wait; takes ids away that it uses."""
        by_type = Counter(event.event_type for event in events)
        live = await self._store.launches.live(tx)
        needed = _most(by_type, Counter(model.rule.event_type.name for model in live))
        if needed > len(ids):
            raise _MoreIds(needed)
        entry = await self._store.log.append(tx, events, reversals, to_micros(self._clock.now()))
        await self._reversing.undo(tx, entry, reversals)
        await self._waiting.end_by_events(tx, entry.new)
        fired = waiting = 0
        for model in live:
            effect = await self._decide(tx, model, entry, by_type, ids)
            fired, waiting = fired + effect[0], waiting + effect[1]
        outcome = Outcome(
            received=len(events),
            duplicates=len(events) - len(entry.new),
            stored=len(entry.new),
            reversed=entry.reversed,
            fired=fired,
        )
        return outcome, waiting

    async def _decide(
        self,
        tx: Transaction,
        model: Launched,
        entry: Entry,
        by_type: Mapping[str, int],
        ids: list[int],
    ) -> tuple[int, int]:
        """The numbers of triggers and of waits."""
        name = model.rule.event_type.name
        received = by_type.get(name, 0)
        if not received:
            return 0, 0
        facts = [fact for fact in entry.new if fact.event_type == name]
        tally = Counter({RECEIVED: received, DUPLICATES: received - len(facts)})
        await self._store.decisions.count(tx, model.model_id, model.version, tally)
        effect = await self._deciding.decide(tx, model, facts, ids)
        return effect.fired, effect.waiting


def _most(events: Mapping[str, int], models: Mapping[str, int]) -> int:
    """How many triggers the models may fire on so many events of each type."""
    return sum(count * models.get(event_type, 0) for event_type, count in events.items())
