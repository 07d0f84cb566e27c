"""What the benefits centre knows of tasks; `events` tells it of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from centers.benefits.tables import task
from engine.action.v1 import action_pb2
from engine.mesh.v1.context_pb2 import ChainIds
from mesh.clock import from_micros, to_micros
from mesh.storage import Row, Store, Transaction

_ONE: Final = sa.select(task).where(task.c.task_id == sa.bindparam("of_task"))
_CHANGE: Final = sa.update(task).where(task.c.task_id == sa.bindparam("of_task"))
_ADD: Final = sa.insert(task)

WITHDRAWN: Final = frozenset(
    {int(action_pb2.TASK_STATE_CANCELLED), int(action_pb2.TASK_STATE_RECALLED)}
)
"""States in which a task was taken back: nothing more is granted for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task as the action centre told of it. `state` has the numbers of its contract."""

    task_id: int
    customer_id: int
    state: int
    chain: ChainIds
    update_time: datetime


class Tasks:
    """Tasks that are known here."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, task_id: int) -> Task | None:
        """The task, once the action centre has told of it."""
        rows = await self._store.fetch_all(_ONE, {"of_task": task_id})
        return _to_task(rows[0]) if rows else None


async def learn(tx: Transaction, learned: Task) -> None:
    """Remember a task, unless something newer is known of it."""
    place = {"of_task": learned.task_id}
    rows = await tx.fetch_all(_ONE, place)
    if rows and rows[0].update_us > to_micros(learned.update_time):
        return
    row = {
        "task_id": learned.task_id,
        "customer_id": learned.customer_id,
        "state": learned.state,
        "scene_version": learned.chain.scene_version,
        "trigger_id": learned.chain.trigger_id,
        "opportunity_id": learned.chain.opportunity_id,
        "contact_id": learned.chain.contact_id,
        "update_us": to_micros(learned.update_time),
    }
    if rows:
        await tx.execute(_CHANGE, row | place)
    else:
        await tx.execute(_ADD, row)


def _to_task(row: Row) -> Task:
    return Task(
        task_id=row.task_id,
        customer_id=row.customer_id,
        state=row.state,
        chain=ChainIds(
            scene_version=row.scene_version,
            trigger_id=row.trigger_id,
            opportunity_id=row.opportunity_id,
            task_id=row.task_id,
            contact_id=row.contact_id,
        ),
        update_time=from_micros(row.update_us),
    )
