"""Who owned which task when, in the database: intervals without gap or overlap."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa

from centers.action.domain import OwnerInterval, Task, TaskOwner
from centers.action.tables import task_owner
from mesh.clock import from_micros, to_micros
from mesh.storage import Row, Store, Transaction

_c: Final = task_owner.c

_ADD: Final = sa.insert(task_owner)
_ALL: Final = sa.select(task_owner).where(_c.task_id == sa.bindparam("id")).order_by(_c.from_us)
_PRESENT: Final = _ALL.where(_c.to_us.is_(None))
_END: Final = sa.update(task_owner).where(_c.task_id == sa.bindparam("id"), _c.to_us.is_(None))

_INSTANT: Final = timedelta(microseconds=1)


class OwnerRows:
    """Holds the owners of tasks. Each task has exactly one whose interval is open."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def begin(self, tx: Transaction, made: Task, reason: str) -> None:
        """The first owner has a new task from its creation on."""
        first = OwnerInterval(
            owner=made.owner, start_time=made.create_time, end_time=None, reason=reason
        )
        await tx.execute(_ADD, _values(made.task_id, first))

    async def hand_over(self, tx: Transaction, moved: Task, reason: str) -> None:
        """End the present owner's interval and begin that of the task's new owner.

        The new one begins at the change, or an instant after the old one began
        when the clock does not tell the two apart: no interval is empty.
        """
        (present,) = await tx.fetch_all(_PRESENT, {"id": moved.task_id})
        start = max(moved.update_time, from_micros(present.from_us) + _INSTANT)
        await tx.execute(_END, {"id": moved.task_id, "to_us": to_micros(start)})
        following = OwnerInterval(owner=moved.owner, start_time=start, end_time=None, reason=reason)
        await tx.execute(_ADD, _values(moved.task_id, following))

    async def of(self, task_id: int) -> Sequence[OwnerInterval]:
        """Who owned the task, oldest first."""
        return [_to_interval(row) for row in await self._store.fetch_all(_ALL, {"id": task_id})]


def _values(task_id: int, interval: OwnerInterval) -> dict[str, Any]:
    return {
        "task_id": task_id,
        "from_us": to_micros(interval.start_time),
        "to_us": None if interval.end_time is None else to_micros(interval.end_time),
        "kind": interval.owner.kind,
        "owner_id": interval.owner.owner_id,
        "branch_id": interval.owner.branch_id,
        "reason": interval.reason,
    }


def _to_interval(row: Row) -> OwnerInterval:
    return OwnerInterval(
        owner=TaskOwner(kind=row.kind, owner_id=row.owner_id, branch_id=row.branch_id),
        start_time=from_micros(row.from_us),
        end_time=None if row.to_us is None else from_micros(row.to_us),
        reason=row.reason,
    )
