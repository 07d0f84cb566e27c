"""WeCom's database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from itertools import chain
from typing import Any

import sqlalchemy as sa

from mesh.clock import from_micros, to_micros
from mesh.errors import MeshError
from mesh.storage import Row, Store, Transaction
from simulators.errors import SimulatorReason
from simulators.reports import owe
from simulators.wecom.callbacks import callbacks
from simulators.wecom.domain import MessageTask, Sending, TaskState
from simulators.wecom.service import Decide, MayRemind
from simulators.wecom.tables import message_task, month_count, reminder
from simulators.wecom.tables import plan as plan_table

_ADD = sa.insert(message_task)
_OF_CONTACT = sa.select(message_task).where(message_task.c.contact_id == sa.bindparam("contact"))
_TASK = sa.select(message_task).where(message_task.c.msgid == sa.bindparam("id"))
_TASKS = (
    sa.select(message_task)
    .where(message_task.c.msgid.in_(sa.bindparam("ids", expanding=True)))
    .order_by(message_task.c.contact_id)
)
_MOVE = (
    sa.update(message_task)
    .where(message_task.c.msgid == sa.bindparam("id"))
    .values(state=sa.bindparam("next_state"))
)
_REMINDERS = (
    sa.select(reminder.c.remind_us)
    .where(reminder.c.msgid == sa.bindparam("id"))
    .order_by(reminder.c.remind_us)
)
_REMIND = sa.insert(reminder)
_OF_THEM: sa.BindParameter[Any] = sa.bindparam("contacts", expanding=True)
_PLANS = sa.select(plan_table).where(plan_table.c.external_userid.in_(_OF_THEM))
_ADD_PLAN = sa.insert(plan_table)
_DROP_PLAN = sa.delete(plan_table).where(plan_table.c.external_userid == sa.bindparam("contact"))
_COUNTS = sa.select(month_count.c.external_userid, month_count.c.sent).where(
    month_count.c.month == sa.bindparam("of_month"), month_count.c.external_userid.in_(_OF_THEM)
)
_ADD_COUNT = sa.insert(month_count)
_DROP_COUNT = sa.delete(month_count).where(
    month_count.c.month == sa.bindparam("of_month"),
    month_count.c.external_userid == sa.bindparam("contact"),
)


class TaskStore:
    """Holds message tasks, reminders, plans, counts and the callbacks that follow."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, task: MessageTask, now: datetime) -> MessageTask:
        async with self._store.transaction() as tx:
            found = await tx.fetch_all(_OF_CONTACT, {"contact": task.contact_id})
            if found:
                return _to_task(found[0])
            await tx.execute(_ADD, _values(task, now))
        return task

    async def remind(self, msgid: str, now: datetime, may: MayRemind) -> None:
        async with self._store.transaction() as tx:
            task = await _task(tx, msgid)
            before = await tx.fetch_all(_REMINDERS, {"id": msgid})
            may(task, [from_micros(row.remind_us) for row in before])
            await tx.execute(_REMIND, {"msgid": msgid, "remind_us": to_micros(now)})

    async def cancel(self, msgid: str) -> TaskState:
        async with self._store.transaction() as tx:
            task = await _task(tx, msgid)
            if task.state is not TaskState.PENDING:
                return task.state
            await tx.execute(_MOVE, {"id": msgid, "next_state": TaskState.CANCELLED.value})
        return TaskState.CANCELLED

    async def plan(self, plans: Mapping[str, str]) -> None:
        async with self._store.transaction() as tx:
            await tx.execute(_DROP_PLAN, [{"contact": contact} for contact in plans])
            failing = [
                {"external_userid": contact, "result_code": code}
                for contact, code in plans.items()
                if code
            ]
            await tx.execute(_ADD_PLAN, failing)

    async def confirm(
        self, userid: str, msgids: Collection[str], now: datetime, month: date, decide: Decide
    ) -> int:
        async with self._store.transaction() as tx:
            tasks = await _tasks_of(tx, userid, msgids)
            pending = [task for task in tasks if task.state is TaskState.PENDING]
            contacts = {"contacts": sorted({task.external_userid for task in pending})}
            of_month = {"of_month": f"{month:%Y-%m}"}
            plans = await tx.fetch_all(_PLANS, contacts)
            counts = await tx.fetch_all(_COUNTS, {**contacts, **of_month})
            sent = {row.external_userid: row.sent for row in counts}
            codes = {row.external_userid: row.result_code for row in plans}
            found = decide(pending, codes, sent)
            await tx.execute(_MOVE, [_confirmed(task) for task in pending])
            await _count(tx, found, sent, of_month)
            told = chain.from_iterable(callbacks(sending, now) for sending in found)
            await owe(tx, [*told], now)
        return len(pending)


async def _task(tx: Transaction, msgid: str) -> MessageTask:
    found = await tx.fetch_all(_TASK, {"id": msgid})
    if not found:
        raise MeshError(SimulatorReason.MESSAGE_TASK_UNKNOWN)
    return _to_task(found[0])


async def _tasks_of(tx: Transaction, userid: str, msgids: Collection[str]) -> Sequence[MessageTask]:
    """The tasks, all of which must be this member's."""
    wanted = set(msgids)
    tasks = [_to_task(row) for row in await tx.fetch_all(_TASKS, {"ids": sorted(wanted)})]
    unknown = wanted - {task.msgid for task in tasks if task.userid == userid}
    if unknown:
        example = {"msgid": min(unknown), "count": str(len(unknown))}
        raise MeshError(SimulatorReason.MESSAGE_TASK_UNKNOWN, metadata=example)
    return tasks


async def _count(
    tx: Transaction, found: Sequence[Sending], sent: Mapping[str, int], of_month: dict[str, str]
) -> None:
    """Count what arrived in this month."""
    more = Counter(one.task.external_userid for one in found if not one.result_code)
    await tx.execute(_DROP_COUNT, [{"contact": contact, **of_month} for contact in more])
    await tx.execute(
        _ADD_COUNT,
        [
            {
                "external_userid": contact,
                "month": of_month["of_month"],
                "sent": sent.get(contact, 0) + count,
            }
            for contact, count in more.items()
        ],
    )


def _confirmed(task: MessageTask) -> dict[str, str]:
    return {"id": task.msgid, "next_state": TaskState.CONFIRMED.value}


def _values(task: MessageTask, now: datetime) -> dict[str, Any]:
    return {
        "contact_id": task.contact_id,
        "msgid": task.msgid,
        "external_userid": task.external_userid,
        "userid": task.userid,
        "text_sha256": task.text_sha256,
        "state": task.state.value,
        "add_us": to_micros(now),
    }


def _to_task(row: Row) -> MessageTask:
    return MessageTask(
        contact_id=row.contact_id,
        external_userid=row.external_userid,
        userid=row.userid,
        text_sha256=row.text_sha256,
        state=TaskState(row.state),
    )
