"""Opportunities in the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from centers.action.domain import Opportunity, OpportunityState
from centers.action.tables import opportunity, reversed_trigger
from mesh.clock import from_micros, to_micros
from mesh.paging import Page, PageRequest
from mesh.storage import Row, Store, Transaction

_c: Final = opportunity.c

_ADD: Final = sa.insert(opportunity)
_OF_TRIGGER: Final = sa.select(opportunity).where(_c.trigger_id == sa.bindparam("of_trigger"))
_KEY: Final = sa.and_(
    _c.scene_version == sa.bindparam("of_version"),
    _c.customer_id == sa.bindparam("of_customer"),
    _c.window_key == sa.bindparam("of_window"),
)
_SAME: Final = sa.union_all(
    sa.select(_c.opportunity_id).where(_c.trigger_id == sa.bindparam("of_trigger")),
    sa.select(_c.opportunity_id).where(_KEY),
)
_OVERDUE: Final = (
    sa.select(opportunity)
    .where(_c.open_expire_us <= sa.bindparam("moment"))
    .order_by(_c.open_expire_us)
    .limit(sa.bindparam("count"))
)
_TAKEN_BACK: Final = sa.select(reversed_trigger).where(
    reversed_trigger.c.trigger_id == sa.bindparam("of_trigger")
)
_TAKE_BACK: Final = sa.insert(reversed_trigger)
_ONE: Final = sa.select(opportunity).where(_c.opportunity_id == sa.bindparam("id"))
_MOVE: Final = sa.update(opportunity).where(
    _c.opportunity_id == sa.bindparam("id"), _c.state == sa.bindparam("before")
)

AT_ONCE: Final = 250
"""Rows that one statement looks for: a few milliseconds."""


class OpportunityRows:
    """Holds opportunities; what changes them takes the transaction of the change."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, tx: Transaction, made: Opportunity) -> bool:
        """Add it; False, and nothing is done, when its trigger or its key has one."""
        key = {
            "of_trigger": made.trigger_id,
            "of_version": made.scene_version,
            "of_customer": made.customer_id,
            "of_window": made.window_key,
        }
        if await tx.fetch_all(_SAME, key):
            return False
        await tx.execute(_ADD, _values(made))
        return True

    async def of_trigger(self, tx: Transaction, trigger_id: int) -> Opportunity | None:
        """What the trigger made."""
        rows = await tx.fetch_all(_OF_TRIGGER, {"of_trigger": trigger_id})
        return _to_opportunity(rows[0]) if rows else None

    async def get(self, opportunity_id: int) -> Opportunity | None:
        """The opportunity, as committed."""
        rows = await self._store.fetch_all(_ONE, {"id": opportunity_id})
        return _to_opportunity(rows[0]) if rows else None

    async def move(
        self,
        tx: Transaction,
        opportunity_id: int,
        *,
        before: OpportunityState,
        after: OpportunityState,
    ) -> Opportunity | None:
        """Change its state, if that is `before`, to an end; the changed one, or None."""
        place = {"id": opportunity_id, "before": before, "state": after, "open_expire_us": None}
        if not await tx.execute(_MOVE, place):
            return None
        (row,) = await tx.fetch_all(_ONE, {"id": opportunity_id})
        return _to_opportunity(row)

    async def overdue(self, tx: Transaction, now: datetime) -> Sequence[Opportunity]:
        """Some worth acting on until now, `AT_ONCE` at most, oldest first."""
        place = {"moment": to_micros(now), "count": AT_ONCE}
        return [_to_opportunity(row) for row in await tx.fetch_all(_OVERDUE, place)]

    async def take_back(self, tx: Transaction, trigger_id: int) -> None:
        """Remember that a trigger was taken back of which nothing was made; once more is well."""
        if not await self.was_taken_back(tx, trigger_id):
            await tx.execute(_TAKE_BACK, {"trigger_id": trigger_id})

    async def was_taken_back(self, tx: Transaction, trigger_id: int) -> bool:
        """Whether the trigger was taken back before anything was made of it."""
        return bool(await tx.fetch_all(_TAKEN_BACK, {"of_trigger": trigger_id}))

    async def page(
        self, request: PageRequest, scene_version: int, state: OpportunityState
    ) -> Page[Opportunity]:
        """Those of a version of a scene, newest first; in any state when it is 0.

        Raises:
            MeshError: PAGE_TOKEN_INVALID.
        """
        found = sa.select(opportunity).where(_c.scene_version == scene_version)
        if state:
            found = found.where(_c.state == state)
        after = request.after_numbers(1)
        if after is not None:
            found = found.where(_c.opportunity_id < after[0])
        found = found.order_by(_c.opportunity_id.desc()).limit(request.limit)
        rows = [_to_opportunity(row) for row in await self._store.fetch_all(found)]
        return request.page(rows, lambda one: (one.opportunity_id,))


def _values(made: Opportunity) -> dict[str, Any]:
    return {
        "opportunity_id": made.opportunity_id,
        "trigger_id": made.trigger_id,
        "scene_id": made.scene_id,
        "scene_version": made.scene_version,
        "customer_id": made.customer_id,
        "window_key": made.window_key,
        "arm": made.arm,
        "state": made.state,
        "suppress_reason": made.suppress_reason,
        "occurred_us": to_micros(made.occurred_time),
        "create_us": to_micros(made.create_time),
        "expire_us": to_micros(made.expire_time),
        "open_expire_us": to_micros(made.expire_time) if made.is_open else None,
    }


def _to_opportunity(row: Row) -> Opportunity:
    return Opportunity(
        opportunity_id=row.opportunity_id,
        trigger_id=row.trigger_id,
        scene_id=row.scene_id,
        scene_version=row.scene_version,
        customer_id=row.customer_id,
        window_key=row.window_key,
        arm=row.arm,
        state=row.state,
        suppress_reason=row.suppress_reason,
        occurred_time=from_micros(row.occurred_us),
        create_time=from_micros(row.create_us),
        expire_time=from_micros(row.expire_us),
    )
