"""Preferences as rows, and the store of them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from centers.reach import moving, tables
from centers.reach.contact_rows import RETRACTABLE_OF_CUSTOMER, to_contact
from centers.reach.domain import Channel, ContactClass
from centers.reach.errand import OPTED_OUT
from centers.reach.preference import Preference, Preferences, Said, standing
from centers.reach.preferences import Answer
from centers.reach.quiet import QuietHours
from centers.reach.telling import preference_changed
from mesh.clock import from_micros, to_micros
from mesh.storage import Row, Store, Transaction

_c: Final = tables.preference.c
_of: Final = sa.bindparam

OF_CUSTOMER: Final = sa.select(tables.preference).where(_c.customer_id == _of("customer"))
_AMONG = sa.select(tables.preference).where(_c.customer_id.in_(_of("customers", expanding=True)))
_INSERT = sa.insert(tables.preference)
_DROP = sa.delete(tables.preference).where(
    _c.customer_id == _of("customer"),
    _c.channel == _of("on"),
    _c.contact_class == _of("of_class"),
)

AT_ONCE: Final = 500
"""Customers read between two turns of the event loop."""


class PreferenceStore:
    """Holds what customers said."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def change(
        self,
        customer_id: int,
        say: Callable[[Preferences], Preference],
        respond: Callable[[Preference], Answer],
        now: datetime,
    ) -> Answer:
        async with self._store.transaction() as tx:
            before = to_preferences(await tx.fetch_all(OF_CUSTOMER, {"customer": customer_id}))
            new = say(before)
            await tx.execute(_DROP, _key(new))
            await tx.execute(_INSERT, _values(new))
            tx.publish(preference_changed(new))
            if new.said is Said.REFUSES:
                await _retract_refused(tx, customer_id, now)
            answer = respond(new)
            tx.answer(answer)
        return answer

    async def preferences(self, customer_ids: Collection[int]) -> Mapping[int, Preferences]:
        found: defaultdict[int, list[Preference]] = defaultdict(list)
        tokens = list(customer_ids)
        for start in range(0, len(tokens), AT_ONCE):
            if start:
                await asyncio.sleep(0)
            block = {"customers": tokens[start : start + AT_ONCE]}
            for one in to_preferences(await self._store.fetch_all(_AMONG, block)):
                found[one.customer_id].append(one)
        return found


async def _retract_refused(tx: Transaction, customer_id: int, now: datetime) -> None:
    """Take back what has not gone out and is refused now."""
    holds = to_preferences(await tx.fetch_all(OF_CUSTOMER, {"customer": customer_id}))
    for row in await tx.fetch_all(RETRACTABLE_OF_CUSTOMER, {"customer": customer_id}):
        contact = to_contact(row)
        if standing(holds, contact.channel, contact.contact_class) is Said.REFUSES:
            await moving.retract(tx, contact, OPTED_OUT, now)


def to_preferences(rows: Collection[Row]) -> list[Preference]:
    """The preferences that rows hold."""
    return [
        Preference(
            customer_id=row.customer_id,
            channel=Channel(row.channel),
            contact_class=ContactClass(row.contact_class),
            said=Said(row.said),
            said_time=from_micros(row.said_us),
            quiet=QuietHours(row.quiet_from, row.quiet_to),
            evidence=row.evidence,
            update_time=from_micros(row.update_us),
        )
        for row in rows
    ]


def _key(preference: Preference) -> dict[str, int]:
    return {
        "customer": preference.customer_id,
        "on": int(preference.channel),
        "of_class": int(preference.contact_class),
    }


def _values(preference: Preference) -> dict[str, Any]:
    return {
        "customer_id": preference.customer_id,
        "channel": int(preference.channel),
        "contact_class": int(preference.contact_class),
        "said": int(preference.said),
        "said_us": to_micros(preference.said_time),
        "quiet_from": preference.quiet.from_minute,
        "quiet_to": preference.quiet.to_minute,
        "evidence": preference.evidence,
        "update_us": to_micros(preference.update_time),
    }
