"""The store of admission: what it reads, decides, consumes and writes is one transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from centers.reach.admission import Attempt, Snapshot
from centers.reach.admissions import Answer, Judge, Respond
from centers.reach.contact_rows import (
    ADD_ERRAND,
    INSERT,
    RECENT,
    contact_values,
    errand_values,
    to_counted,
)
from centers.reach.preference_rows import OF_CUSTOMER, to_preferences
from centers.reach.projection_rows import task_with_hold
from centers.reach.telling import contact_changed
from mesh.clock import to_micros
from mesh.storage import Store


class AdmissionStore:
    """Holds contacts as admission sees them.

    The contact itself is the token that it takes from the caps: they are counted
    over the rows of all contacts of the customer, whichever scene or person made
    them, but those that did not come about.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def admit(
        self,
        customer_id: int,
        task_id: int,
        since: datetime,
        judge: Judge,
        respond: Respond[Answer],
    ) -> Answer:
        of_customer = _recent(customer_id, since)
        async with self._store.transaction() as tx:
            task, held = await task_with_hold(tx, task_id)
            said = await tx.fetch_all(OF_CUSTOMER, {"customer": customer_id})
            recent = await tx.fetch_all(RECENT, of_customer)
            snapshot = Snapshot(
                preferences=to_preferences(said),
                recent=tuple(map(to_counted, recent)),
                scene_held=held,
            )
            contact, errand = judge(task, snapshot)
            await tx.execute(INSERT, contact_values(contact))
            if errand is not None:
                await tx.execute(ADD_ERRAND, errand_values(errand))
            tx.publish(contact_changed(contact))
            answer = respond(contact)
            tx.answer(answer)
        return answer

    async def look(self, attempt: Attempt, since: datetime) -> Snapshot:
        said = await self._store.fetch_all(OF_CUSTOMER, {"customer": attempt.customer_id})
        recent = await self._store.fetch_all(RECENT, _recent(attempt.customer_id, since))
        return Snapshot(preferences=to_preferences(said), recent=tuple(map(to_counted, recent)))


def _recent(customer_id: int, since: datetime) -> dict[str, Any]:
    return {"customer": customer_id, "since": to_micros(since)}
