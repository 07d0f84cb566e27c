"""Tasks in the database."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from centers.action.domain import Lease, Task, TaskOwner, TaskState
from centers.action.errors import ActionReason
from centers.action.tables import task
from mesh.clock import from_micros, to_micros
from mesh.errors import MeshError, MeshReason
from mesh.paging import Page, PageRequest
from mesh.storage import Row, Store, Transaction

_c: Final = task.c

_ADD: Final = sa.insert(task)
_ONE: Final = sa.select(task).where(_c.task_id == sa.bindparam("id"))
_REPLACE: Final = sa.update(task).where(
    _c.task_id == sa.bindparam("id"), _c.version == sa.bindparam("before")
)
_OPEN_OBJECTIVE: Final = sa.select(_c.task_id).where(
    _c.customer_id == sa.bindparam("of_customer"),
    _c.open_objective == sa.bindparam("of_objective"),
)
_OPEN_AMONG: Final = sa.select(_c.customer_id).where(
    _c.customer_id.in_(sa.bindparam("customers", expanding=True)),
    _c.open_objective == sa.bindparam("of_objective"),
)
_OPEN_OF_OPPORTUNITY: Final = sa.select(task).where(
    _c.opportunity_id == sa.bindparam("of_opportunity"), _c.is_open == sa.true()
)
_OPEN_OF_SCENE: Final = (
    sa.select(task)
    .where(_c.scene_id == sa.bindparam("of_scene"), _c.is_open == sa.true())
    .limit(sa.bindparam("count"))
)
_OPEN_OF_VERSION: Final = _OPEN_OF_SCENE.where(_c.scene_version == sa.bindparam("of_version"))
_OVERDUE: Final = (
    sa.select(task)
    .where(_c.open_expire_us <= sa.bindparam("moment"))
    .order_by(_c.open_expire_us)
    .limit(sa.bindparam("count"))
)
_FREE: Final = (
    sa.select(task)
    .where(
        _c.owner_id == sa.bindparam("of_owner"),
        _c.is_open == sa.true(),
        _c.lease_us <= sa.bindparam("moment"),
    )
    .order_by(_c.due_us, _c.task_id)
    .limit(sa.bindparam("count"))
)
_CLOSE: Final = (
    sa.update(task)
    .where(_c.task_id.in_(sa.bindparam("ids", expanding=True)))
    .values(
        state=sa.bindparam("to_state"),
        is_open=sa.false(),
        open_objective=sa.null(),
        open_expire_us=sa.null(),
        lease_holder="",
        lease_us=0,
        update_us=sa.bindparam("moment"),
        version=_c.version + 1,
    )
)
AT_ONCE: Final = 250
"""Rows that one statement closes or looks for: a few milliseconds."""


class TaskRows:
    """Holds tasks; what changes them takes the transaction of the change."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, tx: Transaction, made: Task) -> None:
        """Add a task.

        Raises:
            IntegrityViolation: the customer has an open one of the same objective.
        """
        await tx.execute(_ADD, _values(made))

    async def find(self, task_id: int) -> Task | None:
        """The task, as committed."""
        rows = await self._store.fetch_all(_ONE, {"id": task_id})
        return _to_task(rows[0]) if rows else None

    async def known(self, task_id: int) -> Task:
        """The task, as committed.

        Raises:
            MeshError: OUT_OF_SCOPE, when there is none.
        """
        found = await self.find(task_id)
        if found is None:
            raise MeshError(MeshReason.OUT_OF_SCOPE)
        return found

    async def get(self, tx: Transaction, task_id: int) -> Task:
        """The task, which must exist: whoever calls has seen it in scope."""
        (row,) = await tx.fetch_all(_ONE, {"id": task_id})
        return _to_task(row)

    async def replace(self, tx: Transaction, before: Task, after: Task) -> None:
        """Store a changed task, if nobody changed it meanwhile.

        Raises:
            MeshError: TASK_ETAG_MISMATCH.
        """
        place = {"id": before.task_id, "before": before.version}
        if not await tx.execute(_REPLACE, _values(after) | place):
            raise MeshError(ActionReason.TASK_ETAG_MISMATCH)

    async def has_open(self, tx: Transaction, customer_id: int, objective: str) -> bool:
        """Whether the customer has an open task of the objective."""
        key = {"of_customer": customer_id, "of_objective": objective}
        return bool(await tx.fetch_all(_OPEN_OBJECTIVE, key))

    async def with_open(self, customer_ids: Collection[int], objective: str) -> AbstractSet[int]:
        """Those of the customers who have an open task of the objective."""
        found: set[int] = set()
        tokens = list(customer_ids)
        for start in range(0, len(tokens), AT_ONCE):
            among = {"customers": tokens[start : start + AT_ONCE], "of_objective": objective}
            rows = await self._store.fetch_all(_OPEN_AMONG, among)
            found.update(row.customer_id for row in rows)
        return found

    async def open_of_opportunity(self, tx: Transaction, opportunity_id: int) -> Task | None:
        """The open task of an opportunity; there is one at most."""
        rows = await tx.fetch_all(_OPEN_OF_OPPORTUNITY, {"of_opportunity": opportunity_id})
        return _to_task(rows[0]) if rows else None

    async def open_of_scene(
        self, tx: Transaction, scene_id: int, scene_version: int = 0
    ) -> Sequence[Task]:
        """Some open tasks of a scene, `AT_ONCE` at most; with a version, of that one alone."""
        place = {"of_scene": scene_id, "count": AT_ONCE}
        if scene_version:
            rows = await tx.fetch_all(_OPEN_OF_VERSION, place | {"of_version": scene_version})
        else:
            rows = await tx.fetch_all(_OPEN_OF_SCENE, place)
        return [_to_task(row) for row in rows]

    async def overdue(self, tx: Transaction, now: datetime) -> Sequence[Task]:
        """Some open tasks whose opportunity has expired, `AT_ONCE` at most, oldest first."""
        rows = await tx.fetch_all(_OVERDUE, {"moment": to_micros(now), "count": AT_ONCE})
        return [_to_task(row) for row in rows]

    async def page(
        self, request: PageRequest, owner_id: int, *, state: TaskState, scene_id: int
    ) -> Page[Task]:
        """Tasks of an owner, those due first at the head.

        Those that are open when `state` is 0, and of all scenes when `scene_id` is.

        Raises:
            MeshError: PAGE_TOKEN_INVALID.
        """
        wanted = _c.state == state if state else _c.is_open == sa.true()
        found = sa.select(task).where(_c.owner_id == owner_id, wanted)
        if scene_id:
            found = found.where(_c.scene_id == scene_id)
        after = request.after_numbers(2)
        if after is not None:
            found = found.where(sa.tuple_(_c.due_us, _c.task_id) > sa.tuple_(*after))
        found = found.order_by(_c.due_us, _c.task_id).limit(request.limit)
        rows = [_to_task(row) for row in await self._store.fetch_all(found)]
        return request.page(rows, lambda one: (to_micros(one.due_time), one.task_id))

    async def free(
        self, tx: Transaction, owner_id: int, now: datetime, count: int
    ) -> Sequence[Task]:
        """Open tasks of an owner that nobody holds, those due first at the head."""
        place = {"of_owner": owner_id, "moment": to_micros(now), "count": count}
        return [_to_task(row) for row in await tx.fetch_all(_FREE, place)]

    async def close(self, tx: Transaction, closed: Sequence[Task]) -> None:
        """Store open tasks, read in this transaction, that `Task.ended` closed at one time."""
        for_all = {"to_state": closed[0].state, "moment": to_micros(closed[0].update_time)}
        await tx.execute(_CLOSE, for_all | {"ids": [one.task_id for one in closed]})


def _values(made: Task) -> dict[str, Any]:
    lease = made.lease
    return {
        "task_id": made.task_id,
        "scene_version": made.scene_version,
        "trigger_id": made.trigger_id,
        "opportunity_id": made.opportunity_id,
        "contact_id": made.contact_id,
        "scene_id": made.scene_id,
        "node": made.node,
        "customer_id": made.customer_id,
        "owner_kind": made.owner.kind,
        "owner_id": made.owner.owner_id,
        "branch_id": made.owner.branch_id,
        "state": made.state,
        "is_open": made.is_open,
        "objective": made.objective,
        "open_objective": made.objective if made.is_open else None,
        "due_us": to_micros(made.due_time),
        "expire_us": to_micros(made.expire_time),
        "open_expire_us": to_micros(made.expire_time) if made.is_open else None,
        "create_us": to_micros(made.create_time),
        "update_us": to_micros(made.update_time),
        "outcome": made.outcome,
        "lease_holder": lease.holder if lease else "",
        "lease_us": to_micros(lease.expire_time) if lease else 0,
        "version": made.version,
    }


def _to_task(row: Row) -> Task:
    return Task(
        task_id=row.task_id,
        opportunity_id=row.opportunity_id,
        trigger_id=row.trigger_id,
        scene_id=row.scene_id,
        scene_version=row.scene_version,
        node=row.node,
        customer_id=row.customer_id,
        owner=TaskOwner(kind=row.owner_kind, owner_id=row.owner_id, branch_id=row.branch_id),
        state=row.state,
        objective=row.objective,
        due_time=from_micros(row.due_us),
        expire_time=from_micros(row.expire_us),
        create_time=from_micros(row.create_us),
        update_time=from_micros(row.update_us),
        outcome=row.outcome,
        contact_id=row.contact_id,
        lease=_to_lease(row),
        version=row.version,
    )


def _to_lease(row: Row) -> Lease | None:
    if not row.lease_holder:
        return None
    return Lease(holder=row.lease_holder, expire_time=from_micros(row.lease_us))
