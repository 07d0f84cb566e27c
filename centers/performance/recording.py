"""Use case: record results and reversals, and credit each at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Protocol, TypeVar

from google.protobuf.message import Message

from centers.performance import history_rows, ledger_rows, wire
from centers.performance.domain import Fact, Result, Reversal
from centers.performance.entries import Key, Knowledge, LedgerMoved, Sheet, Supply
from centers.performance.errors import PerformanceReason
from mesh import audit
from mesh.clock import Clock
from mesh.errors import MeshError, Violation
from mesh.events import event
from mesh.ownership import Owner
from mesh.storage import Store, Transaction

Answer = TypeVar("Answer", bound=Message)

TRIES: Final = 5
"""How often a batch is decided anew when it needs more ids than were taken."""

ENTRIES_EACH: Final = 4
"""Entries that a reversal is expected to undo, at first; four times as many each try."""


class Ids(Protocol):
    """Where ids come from."""

    async def take(self, count: int) -> Sequence[int]:
        """So many ids that nobody else gets, rising."""


class Owners(Protocol):
    """Knows who looks after customers."""

    async def owners(self, customer_ids: Collection[int]) -> Mapping[int, Owner]:
        """Owners by customer; customers that are unknown are left out.

        Raises:
            MeshError: OWNERS_UNAVAILABLE.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a batch, in numbers."""

    received: int
    recorded: int
    reversed: int
    credits: int

    @property
    def duplicates(self) -> int:
        """Results that were known."""
        return self.received - self.recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """A batch as it was handed in."""

    facts: Sequence[Fact]
    reversals: Sequence[Reversal]


class Recording:
    """Writes batches into the ledger, each in one transaction."""

    def __init__(
        self, store: Store, owners: Owners, *, result_ids: Ids, credit_ids: Ids, clock: Clock
    ) -> None:
        self._store = store
        self._owners = owners
        self._result_ids = result_ids
        self._credit_ids = credit_ids
        self._clock = clock

    async def record(self, handed: Handed, respond: Callable[[Outcome], Answer]) -> Answer:
        """Record what is new and undo what is taken back; `respond` makes the answer.

        A reversal within the batch applies to a result of the same batch.

        Raises:
            MeshError: DATE_INVALID, OWNERS_UNAVAILABLE, IDS_UNAVAILABLE or LEDGER_MOVED.
        """
        _refuse_other_dates(handed)
        owners = await self._owners.owners(
            {fact.customer_id for fact in handed.facts if fact.counts}
        )
        result_ids = await self._result_ids.take(len(handed.facts)) if handed.facts else ()
        entries = sum(_entries(owners.get(fact.customer_id)) for fact in handed.facts)
        undone = ENTRIES_EACH * len(handed.reversals)
        for attempt in range(TRIES):
            ids = await self._credit_ids.take(entries + undone * 4**attempt)
            try:
                return await self._write(handed, owners, (result_ids, ids), respond)
            except LedgerMoved:
                continue  # nothing was kept
        raise LedgerMoved

    async def _write(
        self,
        handed: Handed,
        owners: Mapping[int, Owner],
        ids: tuple[Sequence[int], Sequence[int]],
        respond: Callable[[Outcome], Answer],
    ) -> Answer:
        async with self._store.transaction() as tx:
            sheet = Sheet(credit_ids=Supply(ids[1]), now=self._clock.now())
            keys = [*(one.key for one in handed.facts), *(one.key for one in handed.reversals)]
            known = await ledger_rows.known(tx, keys)
            await self._add(tx, sheet, _fresh(handed.facts, known), owners, Supply(ids[0]))
            taken_back = await self._take_back(tx, sheet, handed.reversals, known)
            await ledger_rows.write(tx, sheet)
            outcome = Outcome(
                received=len(handed.facts),
                recorded=len(sheet.added),
                reversed=taken_back,
                credits=len(sheet.credits),
            )
            tell(tx, sheet)
            _note(sheet)
            answer = respond(outcome)
            tx.answer(answer)
            return answer

    async def _add(
        self,
        tx: Transaction,
        sheet: Sheet,
        fresh: Sequence[Fact],
        owners: Mapping[int, Owner],
        result_ids: Supply,
    ) -> None:
        buried = await ledger_rows.graves(tx, [fact.key for fact in fresh])
        customers = {fact.customer_id for fact in fresh if fact.counts}
        known = await history_rows.histories(tx, customers)
        knowledge = Knowledge(histories=known, owners=owners)
        for fact in fresh:
            grave = buried.get(fact.key)
            if grave is None:
                sheet.add(fact, result_ids.next(), knowledge)
            else:
                sheet.add_reversed(fact, result_ids.next(), grave)

    async def _take_back(
        self,
        tx: Transaction,
        sheet: Sheet,
        reversals: Sequence[Reversal],
        known: Mapping[Key, Result],
    ) -> int:
        """Undo what stands, bury what is unknown; how many results were taken back."""
        buried = await ledger_rows.graves(tx, [one.key for one in reversals])
        stands = [known[one.key].result_id for one in reversals if one.key in known]
        entries = await ledger_rows.standing(tx, stands)
        done = 0
        for reversal in reversals:
            key = reversal.key
            result = sheet.added.get(key) or sheet.changed.get(key) or known.get(key)
            if result is None:
                if key not in buried:
                    sheet.buried.setdefault(key, reversal)
            elif not result.reversed:
                standing = sheet.standing(key) if key in sheet.added else entries[result.result_id]
                sheet.take_back(result, reversal, standing)
                done += 1
        return done


def tell(tx: Transaction, sheet: Sheet) -> None:
    """Publish what the sheet changes; without amounts."""
    for result, made in sheet.news:
        chain = wire.chain(result.chain, made[0].credit_id if made else 0)
        told = wire.recorded(result, made)
        tx.publish(event(told, key=result.fact.customer_id, chain=chain))


def _note(sheet: Sheet) -> None:
    ids = sorted(result.result_id for result in sheet.added.values())
    if ids:
        audit.note(object=f"result_id={ids[0]}..{ids[-1]}")


def _fresh(facts: Sequence[Fact], known: Mapping[Key, Result]) -> Sequence[Fact]:
    """The facts that are new, each once, in their order."""
    by_key = {fact.key: fact for fact in reversed(facts) if fact.key not in known}
    return list(reversed(by_key.values()))


def _entries(owner: Owner | None) -> int:
    """Entries that a result is credited in, at most."""
    return max(1, len(owner.shares)) if owner is not None else 1


def _refuse_other_dates(handed: Handed) -> None:
    dates = {
        "results": [one.business_date for one in handed.facts],
        "reversals": [one.business_date for one in handed.reversals],
    }
    violations = [
        Violation(f"{name}[{index}].business_date", "is not a day of the calendar")
        for name, stated in dates.items()
        for index, text in enumerate(stated)
        if not _is_date(text)
    ]
    if violations:
        raise MeshError(PerformanceReason.DATE_INVALID, violations=violations)


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
