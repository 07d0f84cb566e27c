"""The adapter's database: message tasks, and what WeCom must be told of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from centers.wecom.binding_rows import binding_of
from centers.wecom.domain import MEMBER_PENDING, REMINDER_WINDOW, Binding, MessageTask
from centers.wecom.handover import Known, Waiting
from centers.wecom.service import Change
from centers.wecom.tables import message_task, reminder
from centers.wecom.task_rows import changing, to_task, values
from centers.wecom.wire import changed
from mesh.clock import to_micros
from mesh.storage import Store, Transaction

_ADD = sa.insert(message_task)
_TASK = sa.select(message_task).where(message_task.c.message_task_id == sa.bindparam("id"))
_OF_CONTACT = sa.select(message_task).where(message_task.c.contact_id == sa.bindparam("contact"))
_OF_MSGID = sa.select(message_task).where(message_task.c.msgid == sa.bindparam("wecom_id"))
_CHANGE = (
    sa.update(message_task)
    .where(message_task.c.message_task_id == sa.bindparam("id"))
    .values(
        **{
            name: sa.bindparam(name)
            for name in ("msgid", "state", "result_code", "text", "update_us")
        },
        due_us=None,
    )
)
_MEMBER = sa.select(message_task.c.staff_id).where(
    message_task.c.message_task_id == sa.bindparam("id")
)
_REMINDED = (
    sa.select(sa.func.count())
    .where(
        reminder.c.message_task_id == message_task.c.message_task_id,
        reminder.c.remind_us > sa.bindparam("since"),
    )
    .scalar_subquery()
    .label("reminders")
)
_PENDING = (
    sa.select(message_task, _REMINDED)
    .where(
        message_task.c.staff_id == sa.bindparam("member"),
        message_task.c.state == MEMBER_PENDING,
    )
    .order_by(message_task.c.create_us, message_task.c.message_task_id)
    .limit(sa.bindparam("count"))
)
_PENDING_AFTER = _PENDING.where(
    sa.tuple_(message_task.c.create_us, message_task.c.message_task_id)
    > sa.tuple_(sa.bindparam("after_us"), sa.bindparam("after_id"))
)
_DUE = (
    sa.select(message_task)
    .where(message_task.c.due_us <= sa.bindparam("now"))
    .order_by(message_task.c.due_us, message_task.c.message_task_id)
    .limit(sa.bindparam("count"))
)
_OFFER = (
    sa.update(message_task)
    .where(message_task.c.message_task_id.in_(sa.bindparam("ids", expanding=True)))
    .values(offered=sa.true(), due_us=sa.bindparam("until"))
)
_WAIT = (
    sa.update(message_task)
    .where(
        message_task.c.message_task_id == sa.bindparam("id"),
        message_task.c.due_us == sa.bindparam("held_until"),
    )
    .values(
        offered=sa.bindparam("known"),
        attempts=message_task.c.attempts + sa.bindparam("more"),
        due_us=sa.bindparam("until"),
    )
)


class TaskStore:
    """Holds message tasks; each change of where one stands is published with it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def of_contact(self, contact_id: int) -> MessageTask | None:
        rows = await self._store.fetch_all(_OF_CONTACT, {"contact": contact_id})
        return to_task(rows[0]) if rows else None

    async def member(self, message_task_id: int) -> int:
        """Staff number of the member of a task; 0 when there is no such task."""
        rows = await self._store.fetch_all(_MEMBER, {"id": message_task_id})
        return rows[0].staff_id if rows else 0

    async def add(
        self, contact_id: int, customer_id: int, make: Callable[[Binding | None], MessageTask]
    ) -> MessageTask:
        async with self._store.transaction() as tx:
            rows = await tx.fetch_all(_OF_CONTACT, {"contact": contact_id})
            if rows:
                return to_task(rows[0])
            task = make(await binding_of(tx, customer_id))
            await tx.execute(_ADD, values(task))
            tx.publish(changed(task))
        return task

    async def change(self, contact_id: int, change: Change) -> MessageTask | None:
        async with self._store.transaction() as tx:
            return await _change(tx, _OF_CONTACT, {"contact": contact_id}, change)

    async def change_by_msgid(self, msgid: str, change: Change) -> MessageTask | None:
        async with self._store.transaction() as tx:
            return await _change(tx, _OF_MSGID, {"wecom_id": msgid}, change)

    async def pending(
        self, staff_id: int, *, now: datetime, after: tuple[int, ...] | None, limit: int
    ) -> Sequence[MessageTask]:
        since = to_micros(now - REMINDER_WINDOW)
        parameters = {"member": staff_id, "since": since, "count": limit}
        if after is None:
            rows = await self._store.fetch_all(_PENDING, parameters)
        else:
            place = {"after_us": after[0], "after_id": after[1]}
            rows = await self._store.fetch_all(_PENDING_AFTER, parameters | place)
        return [to_task(row, row.reminders) for row in rows]

    async def offer(self, now: datetime, until: datetime, limit: int) -> Sequence[MessageTask]:
        due = {"now": to_micros(now), "count": limit}
        if not await self._store.fetch_all(_DUE, {**due, "count": 1}):
            return ()
        async with self._store.transaction() as tx:
            tasks = [to_task(row) for row in await tx.fetch_all(_DUE, due)]
            ids = [task.message_task_id for task in tasks]
            await tx.execute(_OFFER, {"ids": ids, "until": to_micros(until)})
        return tasks

    async def settle(
        self, known: Sequence[Known], waiting: Sequence[Waiting], now: datetime, until: datetime
    ) -> None:
        async with self._store.transaction() as tx:
            for one in known:
                await _change(tx, _TASK, {"id": one.task.message_task_id}, _learned(one, now))
            held = {"held_until": to_micros(until)}
            await tx.execute(_WAIT, [_wait_values(one) | held for one in waiting])


def _learned(known: Known, now: datetime) -> Change:
    return lambda task: task.after(known.standing, now, msgid=known.msgid)


async def _change(
    tx: Transaction, which: sa.Select[Any], parameters: dict[str, Any], change: Change
) -> MessageTask | None:
    rows = await tx.fetch_all(which, parameters)
    if not rows:
        return None
    before = to_task(rows[0])
    task = change(before)
    if task != before:
        await tx.execute(_CHANGE, {"id": task.message_task_id, **changing(task)})
        tx.publish(changed(task))
    return task


def _wait_values(waiting: Waiting) -> dict[str, Any]:
    return {
        "id": waiting.task.message_task_id,
        "known": waiting.offered,
        "more": int(waiting.attempted),
        "until": to_micros(waiting.until),
    }
