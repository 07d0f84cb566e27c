"""The store of contacts that were made, and of stopped scenes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from centers.reach import moving
from centers.reach.admissions import Answer, Respond
from centers.reach.contact_rows import BY_ID, NEWEST, NEWEST_AFTER, OF_CUSTOMER, to_contact
from centers.reach.domain import Contact, Cursor, Report
from centers.reach.errors import ReachReason
from centers.reach.projection_rows import learn_hold
from mesh.errors import MeshError
from mesh.storage import Store


class ContactStore:
    """Holds contacts."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def contact(self, contact_id: int) -> Contact | None:
        rows = await self._store.fetch_all(BY_ID, {"id": contact_id})
        return to_contact(rows[0]) if rows else None

    async def newest(
        self, customer_id: int, *, after: Cursor | None, limit: int
    ) -> Sequence[Contact]:
        parameters = {"customer": customer_id, "count": limit}
        if after is None:
            rows = await self._store.fetch_all(NEWEST, parameters)
        else:
            place = {"after_us": after[0], "after_id": after[1]}
            rows = await self._store.fetch_all(NEWEST_AFTER, parameters | place)
        return [to_contact(row) for row in rows]

    async def change(
        self,
        customer_id: int,
        contact_id: int,
        apply: Callable[[Contact], Contact],
        respond: Respond[Answer],
    ) -> Answer:
        async with self._store.transaction() as tx:
            place = {"id": contact_id, "customer": customer_id}
            rows = await tx.fetch_all(OF_CUSTOMER, place)
            if not rows:
                raise MeshError(ReachReason.CONTACT_NOT_FOUND)
            before = to_contact(rows[0])
            after = apply(before)
            if after is not before:
                await moving.end(tx, before, after)
            answer = respond(after)
            tx.answer(answer)
        return answer

    async def report(self, contact_id: int, report: Report, now: datetime) -> Contact | None:
        async with self._store.transaction() as tx:
            return await moving.apply(tx, contact_id, report, now)

    async def hold(self, scene_versions: Collection[int], told: datetime, *, held: bool) -> None:
        async with self._store.transaction() as tx:
            await learn_hold(tx, scene_versions, told, held=held)
