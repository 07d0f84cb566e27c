"""The decision centre's database: events that wait whether another one stays away."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Final

import sqlalchemy as sa

from centers.decision.blocks import blocks
from centers.decision.domain import Wait
from centers.decision.tables import absence_wait
from mesh.storage import Row, Store, Transaction

_w: Final = absence_wait.c
_ADD: Final = sa.insert(absence_wait)
_REMOVE: Final = sa.delete(absence_wait).where(
    _w.model_id == sa.bindparam("model"),
    _w.model_version == sa.bindparam("version"),
    _w.business_key == sa.bindparam("key"),
)
_ON_EVENTS: Final = sa.select(absence_wait).where(
    _w.event_type == sa.bindparam("type"),
    _w.business_key.in_(sa.bindparam("keys", expanding=True)),
)
_ANY: Final = sa.select(_w.model_id).where(_w.absent == sa.bindparam("absent")).limit(1)
_OF_CUSTOMERS: Final = sa.select(absence_wait).where(
    _w.absent == sa.bindparam("absent"),
    _w.customer_id.in_(sa.bindparam("customers", expanding=True)),
)
_IN_ORDER: Final = (
    sa.select(absence_wait)
    .order_by(_w.due_us, _w.business_key, _w.model_id, _w.model_version)
    .limit(sa.bindparam("count"))
)
_DUE: Final = _IN_ORDER.where(_w.due_us < sa.bindparam("now"))


class Waits:
    """Holds waits until they end."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, tx: Transaction, waits: Sequence[Wait]) -> None:
        """Keep new waits."""
        await tx.execute(_ADD, [asdict(wait) for wait in waits])

    async def remove(self, tx: Transaction, waits: Collection[Wait]) -> None:
        """Forget waits that have ended."""
        keys = [
            {"model": each.model_id, "version": each.model_version, "key": each.business_key}
            for each in waits
        ]
        await tx.execute(_REMOVE, keys)

    async def on_events(
        self, tx: Transaction, event_type: str, keys: Sequence[str]
    ) -> Sequence[Wait]:
        """The waits of these events."""
        found: list[Wait] = []
        for block in blocks(keys):
            rows = await tx.fetch_all(_ON_EVENTS, {"type": event_type, "keys": block})
            found += map(_wait, rows)
        return found

    async def for_absence(
        self, tx: Transaction, event_type: str, customers: Collection[int]
    ) -> Sequence[Wait]:
        """The customers' waits that an event of this type may end."""
        if not await tx.fetch_all(_ANY, {"absent": event_type}):
            return ()
        found: list[Wait] = []
        for block in blocks(sorted(customers)):
            rows = await tx.fetch_all(_OF_CUSTOMERS, {"absent": event_type, "customers": block})
            found += map(_wait, rows)
        return found

    async def due(self, tx: Transaction, now_us: int, count: int) -> Sequence[Wait]:
        """Waits whose time has run out, in its order; at `due_us` itself it has not yet."""
        return [_wait(row) for row in await tx.fetch_all(_DUE, {"now": now_us, "count": count})]

    async def next_due_us(self) -> int | None:
        """When the next one runs out; None when nothing waits."""
        rows = await self._store.fetch_all(_IN_ORDER, {"count": 1})
        return rows[0].due_us if rows else None


def _wait(row: Row) -> Wait:
    return Wait(
        model_id=row.model_id,
        model_version=row.model_version,
        scene_id=row.scene_id,
        customer_id=row.customer_id,
        event_type=row.event_type,
        business_key=row.business_key,
        occurred_us=row.occurred_us,
        due_us=row.due_us,
        absent=row.absent,
        window_key=row.window_key,
    )
