"""Causes that are learned after their result: the result finds them for a day.

Facts of other centres may arrive a moment after the result that they led to. What
nobody got so far is then credited as if they had come in time: its entry is undone
and the owners' entries are written, in the transaction that learns of the fact.
What somebody got stays his.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from centers.performance import history_rows, ledger_rows
from centers.performance.domain import LATE, Result
from centers.performance.entries import NOBODY, Knowledge, Sheet, Supply
from centers.performance.recording import Ids, Owners, tell
from mesh.clock import Clock
from mesh.events import Effect
from mesh.storage import Store, Transaction

Learn: TypeAlias = Callable[[Transaction], Awaitable[None]]


class LateCauses:
    """Makes the effect of a fact: learned, and credited to it what waited for it."""

    def __init__(self, store: Store, owners: Owners, credit_ids: Ids, clock: Clock) -> None:
        self._store = store
        self._owners = owners
        self._credit_ids = credit_ids
        self._clock = clock

    async def effect(self, customer_id: int, learn: Learn) -> Effect:
        """The effect of a fact about a customer.

        When it is applied to more results than there were when it was made, it raises
        LEDGER_MOVED: its consumer then has it made again.
        """
        waiting = await self._nobodys(self._store, customer_id)
        owners, ids = NOBODY, Supply(())
        if waiting:
            owners = await self._owners.owners((customer_id,))
            shares = owners[customer_id].shares if customer_id in owners else ()
            ids = Supply(await self._credit_ids.take(len(waiting) * (1 + max(1, len(shares)))))

        async def effect(tx: Transaction) -> None:
            await learn(tx)
            results = await self._nobodys(tx, customer_id)
            if results:
                known = await history_rows.histories(tx, (customer_id,))
                knowledge = Knowledge(histories=known, owners=owners)
                await self._reattribute(tx, results, knowledge, ids)

        return effect

    async def _nobodys(self, reader: ledger_rows.Reader, customer_id: int) -> Sequence[Result]:
        return await ledger_rows.nobodys(reader, customer_id, self._clock.now() - LATE)

    async def _reattribute(
        self, tx: Transaction, results: Sequence[Result], knowledge: Knowledge, ids: Supply
    ) -> None:
        moved = [one for one in results if _has_other_cause(one, knowledge)]
        if not moved:
            return
        sheet = Sheet(credit_ids=ids, now=self._clock.now())
        standing = await ledger_rows.standing(tx, [one.result_id for one in moved])
        for result in moved:
            sheet.reattribute(result, standing[result.result_id], knowledge)
        await ledger_rows.write(tx, sheet)
        tell(tx, sheet)


def _has_other_cause(result: Result, knowledge: Knowledge) -> bool:
    cause, known = knowledge.cause(result.fact), result.chain
    return (cause.opportunity_id, cause.contact_id) != (known.opportunity_id, known.contact_id)
