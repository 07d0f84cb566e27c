"""The adapter's database: reminders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

import sqlalchemy as sa
from google.protobuf.message import Message

from centers.wecom.domain import REMINDER_WINDOW, MessageTask
from centers.wecom.tables import message_task, reminder
from centers.wecom.task_rows import to_task
from mesh.clock import from_micros, to_micros
from mesh.errors import MeshError, MeshReason
from mesh.storage import Store

Answer = TypeVar("Answer", bound=Message)

_TASK = sa.select(message_task).where(message_task.c.message_task_id == sa.bindparam("id"))
_BEFORE = (
    sa.select(reminder.c.remind_us)
    .where(
        reminder.c.message_task_id == sa.bindparam("id"),
        reminder.c.remind_us > sa.bindparam("since"),
    )
    .order_by(reminder.c.remind_us)
)
_ADD = sa.insert(reminder)
_UNTOLD = (
    sa.select(reminder.c.reminder_id, message_task)
    .join(message_task, message_task.c.message_task_id == reminder.c.message_task_id)
    .where(
        reminder.c.told.is_(False),
        reminder.c.remind_us > sa.bindparam("since"),
        reminder.c.held_us <= sa.bindparam("now"),
    )
    .order_by(reminder.c.remind_us, reminder.c.reminder_id)
    .limit(sa.bindparam("count"))
)
_AMONG = reminder.c.reminder_id.in_(sa.bindparam("ids", expanding=True))
_HOLD = sa.update(reminder).where(_AMONG).values(held_us=sa.bindparam("until"))
_TOLD = sa.update(reminder).where(_AMONG).values(told=sa.true())
_LEAVE = (
    sa.update(reminder)
    .where(_AMONG, reminder.c.held_us == sa.bindparam("held_until"))
    .values(held_us=0)
)


class ReminderStore:
    """Holds reminders, those that WeCom does not know yet among them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def remind(
        self,
        message_task_id: int,
        now: datetime,
        may: Callable[[MessageTask, Sequence[datetime]], None],
        respond: Callable[[MessageTask], Answer],
    ) -> Answer:
        since = to_micros(now - REMINDER_WINDOW)
        async with self._store.transaction() as tx:
            rows = await tx.fetch_all(_TASK, {"id": message_task_id})
            if not rows:
                raise MeshError(MeshReason.OUT_OF_SCOPE)
            before = await tx.fetch_all(_BEFORE, {"id": message_task_id, "since": since})
            may(to_task(rows[0]), [from_micros(row.remind_us) for row in before])
            made = {
                "message_task_id": message_task_id,
                "remind_us": to_micros(now),
                "told": False,
            }
            await tx.execute(_ADD, made)
            answer = respond(to_task(rows[0], len(before) + 1))
            tx.answer(answer)
        return answer

    async def take(
        self, now: datetime, until: datetime, limit: int
    ) -> Sequence[tuple[int, MessageTask]]:
        since = to_micros(now - REMINDER_WINDOW)
        place = {"since": since, "now": to_micros(now), "count": limit}
        if not await self._store.fetch_all(_UNTOLD, {**place, "count": 1}):
            return ()
        async with self._store.transaction() as tx:
            rows = await tx.fetch_all(_UNTOLD, place)
            ids = [row.reminder_id for row in rows]
            await tx.execute(_HOLD, {"ids": ids, "until": to_micros(until)})
        return [(row.reminder_id, to_task(row)) for row in rows]

    async def settle(self, told: Sequence[int], left: Sequence[int], until: datetime) -> None:
        async with self._store.transaction() as tx:
            if told:
                await tx.execute(_TOLD, {"ids": told})
            if left:
                await tx.execute(_LEAVE, {"ids": left, "held_until": to_micros(until)})
