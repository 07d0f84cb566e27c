"""The decision centre's database: triggers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Final

import sqlalchemy as sa

from centers.decision.blocks import blocks
from centers.decision.domain import Trigger
from centers.decision.tables import model_trigger
from mesh.storage import Row, Store, Transaction

_t: Final = model_trigger.c
_ADD: Final = sa.insert(model_trigger)
_TAKEN: Final = sa.select(_t.customer_id, _t.window_key).where(
    _t.model_id == sa.bindparam("model"),
    _t.model_version == sa.bindparam("version"),
    _t.customer_id.in_(sa.bindparam("customers", expanding=True)),
    _t.window_key >= sa.bindparam("first"),
    _t.window_key <= sa.bindparam("last"),
)
_ON_EVENTS: Final = (
    sa.select(model_trigger)
    .where(
        _t.event_type == sa.bindparam("type"),
        _t.business_key.in_(sa.bindparam("keys", expanding=True)),
        _t.reversed == sa.false(),
    )
    .order_by(_t.trigger_id)
)
_REVERSE: Final = (
    sa.update(model_trigger).where(_t.trigger_id == sa.bindparam("id")).values(reversed=True)
)
_ONE: Final = sa.select(model_trigger).where(_t.trigger_id == sa.bindparam("id"))
_NEWEST: Final = (
    sa.select(model_trigger)
    .where(_t.model_id == sa.bindparam("model"))
    .order_by(_t.create_us.desc(), _t.trigger_id.desc())
    .limit(sa.bindparam("count"))
)
_NEWEST_AFTER: Final = _NEWEST.where(
    sa.tuple_(_t.create_us, _t.trigger_id)
    < sa.tuple_(sa.bindparam("after_us"), sa.bindparam("after_id"))
)


class Triggers:
    """Holds triggers: at most one for each version, customer and window."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def taken(
        self,
        tx: Transaction,
        model_id: int,
        version: int,
        customers: Collection[int],
        *,
        first: int,
        last: int,
    ) -> Mapping[int, set[int]]:
        """Windows from `first` to `last` that have a trigger, by customer."""
        found: defaultdict[int, set[int]] = defaultdict(set)
        place = {"model": model_id, "version": version, "first": first, "last": last}
        for block in blocks(sorted(customers)):
            for row in await tx.fetch_all(_TAKEN, {**place, "customers": block}):
                found[row.customer_id].add(row.window_key)
        return found

    async def add(self, tx: Transaction, triggers: Sequence[Trigger]) -> None:
        """Keep new triggers."""
        await tx.execute(_ADD, [asdict(trigger) for trigger in triggers])

    async def standing(
        self, tx: Transaction, event_type: str, keys: Sequence[str]
    ) -> Sequence[Trigger]:
        """The triggers of these events that are not reversed."""
        found: list[Trigger] = []
        for block in blocks(keys):
            rows = await tx.fetch_all(_ON_EVENTS, {"type": event_type, "keys": block})
            found += map(_trigger, rows)
        return found

    async def reverse(self, tx: Transaction, triggers: Sequence[Trigger]) -> None:
        """Mark triggers whose event was taken back."""
        await tx.execute(_REVERSE, [{"id": trigger.trigger_id} for trigger in triggers])

    async def trigger(self, trigger_id: int) -> Trigger | None:
        """The trigger of that id."""
        rows = await self._store.fetch_all(_ONE, {"id": trigger_id})
        return _trigger(rows[0]) if rows else None

    async def newest(
        self, model_id: int, *, after: tuple[int, ...] | None, limit: int
    ) -> Sequence[Trigger]:
        """Triggers of a model, newest first, beginning after a cursor of time and id."""
        place = {"model": model_id, "count": limit}
        if after is None:
            rows = await self._store.fetch_all(_NEWEST, place)
        else:
            cursor = {"after_us": after[0], "after_id": after[1]}
            rows = await self._store.fetch_all(_NEWEST_AFTER, place | cursor)
        return [_trigger(row) for row in rows]


def _trigger(row: Row) -> Trigger:
    return Trigger(
        trigger_id=row.trigger_id,
        model_id=row.model_id,
        model_version=row.model_version,
        scene_id=row.scene_id,
        customer_id=row.customer_id,
        event_type=row.event_type,
        business_key=row.business_key,
        occurred_us=row.occurred_us,
        create_us=row.create_us,
        window_key=row.window_key,
        reversed=row.reversed,
    )
