"""What the reach centre knows of other centres: tasks, stopped scenes, what may not be used.

It learns of them by events; a scene is also stopped by a call.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any, Final

import sqlalchemy as sa

from centers.reach import tables
from centers.reach.contact_rows import to_chain
from centers.reach.domain import Chain
from engine.action.v1 import action_pb2
from mesh.clock import from_micros, to_micros
from mesh.storage import Row, Store, Transaction

_t: Final = tables.task.c
_h: Final = tables.scene_hold.c
_b: Final = tables.barred.c
_of: Final = sa.bindparam


class Barred(IntEnum):
    """What may not be used. The numbers are the database's."""

    MATERIAL = 1
    PRODUCT = 2


_TASK = sa.select(tables.task).where(_t.task_id == _of("id"))
_ADD_TASK = sa.insert(tables.task)
_CHANGE_TASK = sa.update(tables.task).where(_t.task_id == _of("id"))
_TASK_WITH_HOLD = (
    sa.select(tables.task, _h.held)
    .select_from(tables.task.outerjoin(tables.scene_hold, _h.scene_version == _t.scene_version))
    .where(_t.task_id == _of("id"))
)
_HOLD = sa.select(_h.held, _h.told_us).where(_h.scene_version == _of("scene"))
_ADD_HOLD = sa.insert(tables.scene_hold)
_DROP_HOLD = sa.delete(tables.scene_hold).where(_h.scene_version == _of("scene"))
_subject: Final = sa.and_(_b.kind == _of("of_kind"), _b.subject_id == _of("subject"))
_BARRED = sa.select(_b.kind).where(
    sa.or_(
        sa.and_(_b.kind == int(Barred.MATERIAL), _b.subject_id == _of("material")),
        sa.and_(_b.kind == int(Barred.PRODUCT), _b.subject_id.in_(_of("products", expanding=True))),
    )
)
_UNBAR = sa.delete(tables.barred).where(_subject)
_BAR = sa.insert(tables.barred)

OPEN_TASKS: Final = frozenset(
    {int(action_pb2.TASK_STATE_ASSIGNED), int(action_pb2.TASK_STATE_IN_PROGRESS)}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task as the action centre told of it. `state` has the numbers of its contract."""

    task_id: int
    customer_id: int
    owner_id: int
    state: int
    chain: Chain
    update_time: datetime

    def is_for(self, customer_id: int, staff_id: int) -> bool:
        """Whether this person may contact this customer for it."""
        mine = (self.customer_id, self.owner_id) == (customer_id, staff_id)
        return mine and self.state in OPEN_TASKS


class Tasks:
    """Tasks that are known here."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def is_known(self, task_id: int) -> bool:
        """Whether the action centre has told of it."""
        return bool(await self._store.fetch_all(_TASK, {"id": task_id}))


async def task_of(tx: Transaction, task_id: int) -> Task | None:
    """The task, as far as it is known."""
    rows = await tx.fetch_all(_TASK, {"id": task_id}) if task_id else ()
    return _to_task(rows[0]) if rows else None


async def task_with_hold(tx: Transaction, task_id: int) -> tuple[Task | None, bool]:
    """The task, as far as it is known, and whether its scene is stopped: one read."""
    rows = await tx.fetch_all(_TASK_WITH_HOLD, {"id": task_id}) if task_id else ()
    return (_to_task(rows[0]), bool(rows[0].held)) if rows else (None, False)


async def learn_task(tx: Transaction, task: Task) -> bool:
    """Remember a task, unless something newer is known of it; whether it was remembered."""
    known, values = await task_of(tx, task.task_id), _task_values(task)
    if known is None:
        await tx.execute(_ADD_TASK, values)
    elif known.update_time > task.update_time:
        return False
    else:
        await tx.execute(_CHANGE_TASK, values | {"id": task.task_id})
    return True


async def learn_hold(
    tx: Transaction, scene_versions: Collection[int], told: datetime, *, held: bool
) -> None:
    """Stop or resume versions of a scene, but for those of which something newer was told."""
    told_us = to_micros(told)
    for scene_version in scene_versions:
        rows = await tx.fetch_all(_HOLD, {"scene": scene_version})
        if rows and rows[0].told_us > told_us:
            continue
        await tx.execute(_DROP_HOLD, {"scene": scene_version})
        values = {"scene_version": scene_version, "held": held, "told_us": told_us}
        await tx.execute(_ADD_HOLD, values)


async def barred_among(
    tx: Transaction, material_id: int, product_ids: Collection[int]
) -> Collection[Barred]:
    """What may not be used: the material, in whichever version, or any of the products."""
    place = {"material": material_id, "products": list(product_ids) or [0]}
    return {Barred(row.kind) for row in await tx.fetch_all(_BARRED, place)}


async def learn_barred(tx: Transaction, kind: Barred, subject_id: int, *, barred: bool) -> None:
    """Remember whether it may be used."""
    await tx.execute(_UNBAR, _subject_key(kind, subject_id))
    if barred:
        await tx.execute(_BAR, {"kind": int(kind), "subject_id": subject_id, "version": 0})


def _subject_key(kind: Barred, subject_id: int) -> dict[str, int]:
    return {"of_kind": int(kind), "subject": subject_id}


def _task_values(task: Task) -> dict[str, Any]:
    return {
        "task_id": task.task_id,
        "customer_id": task.customer_id,
        "owner_id": task.owner_id,
        "state": task.state,
        "scene_version": task.chain.scene_version,
        "trigger_id": task.chain.trigger_id,
        "opportunity_id": task.chain.opportunity_id,
        "update_us": to_micros(task.update_time),
    }


def _to_task(row: Row) -> Task:
    return Task(
        task_id=row.task_id,
        customer_id=row.customer_id,
        owner_id=row.owner_id,
        state=row.state,
        chain=to_chain(row),
        update_time=from_micros(row.update_us),
    )
