"""Use cases of WeCom: add, remind of, cancel and confirm message tasks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

from mesh.clock import Clock
from mesh.errors import MeshError
from mesh.zone import BANK_ZONE
from simulators.errors import SimulatorReason
from simulators.text import text_sha256
from simulators.wecom.domain import (
    Limits,
    MessageTask,
    Sending,
    TaskState,
    next_reminder,
    sendings,
)
from simulators.wecom.rate import CallRate

MayRemind = Callable[[MessageTask, Sequence[datetime]], None]
"""Refuses a reminder of a task, given those before it in their order."""

Decide = Callable[[Sequence[MessageTask], Mapping[str, str], Mapping[str, int]], Sequence[Sending]]
"""What becomes of tasks, given the plans and this month's counts of their external contacts."""


class TaskStore(Protocol):
    """Where message tasks, plans, reminders and counts are held."""

    async def add(self, task: MessageTask, now: datetime) -> MessageTask:
        """Keep the task; the one kept before when there is one."""

    async def remind(self, msgid: str, now: datetime, may: MayRemind) -> None:
        """Record a reminder of the task.

        Raises:
            MeshError: MESSAGE_TASK_UNKNOWN, or what `may` raises.
        """

    async def cancel(self, msgid: str) -> TaskState:
        """Cancel the task when it is pending; where it stands then.

        Raises:
            MeshError: MESSAGE_TASK_UNKNOWN.
        """

    async def plan(self, plans: Mapping[str, str]) -> None:
        """Replace the codes of these external contacts."""

    async def confirm(
        self, userid: str, msgids: Collection[str], now: datetime, month: date, decide: Decide
    ) -> int:
        """Confirm those tasks of a member that are pending and owe their callbacks; how many.

        Raises:
            MeshError: MESSAGE_TASK_UNKNOWN; none is confirmed then.
        """


class Wecom:
    """Keeps message tasks until members confirm them.

    Args:
        store: where they are kept.
        limits: what is allowed.
        clock: dates reminders and months.
        owed: called when there are new callbacks to send.
    """

    def __init__(
        self, store: TaskStore, limits: Limits, clock: Clock, owed: Callable[[], None]
    ) -> None:
        self._store = store
        self._limits = limits
        self._clock = clock
        self._owed = owed
        self._adding, self._reminding, self._cancelling = (
            CallRate(limits.rates, clock) for _ in range(3)
        )

    async def add(self, contact_id: int, external_userid: str, userid: str, text: str) -> str:
        """Create a message task and answer its msgid; the same again is the same task.

        Raises:
            MeshError: CALL_RATE_EXCEEDED or KEY_REUSED.
        """
        self._adding.take()
        task = MessageTask(
            contact_id=contact_id,
            external_userid=external_userid,
            userid=userid,
            text_sha256=text_sha256(text),
        )
        kept = await self._store.add(task, self._clock.now())
        if not kept.is_same(task):
            raise MeshError(SimulatorReason.KEY_REUSED)
        return kept.msgid

    async def remind(self, msgid: str) -> None:
        """Remind the member of a task that is pending.

        Raises:
            MeshError: CALL_RATE_EXCEEDED, MESSAGE_TASK_UNKNOWN, MESSAGE_TASK_CLOSED or
                REMINDED_ENOUGH.
        """
        self._reminding.take()
        now = self._clock.now()

        def may(task: MessageTask, before: Sequence[datetime]) -> None:
            if task.state is not TaskState.PENDING:
                raise MeshError(SimulatorReason.MESSAGE_TASK_CLOSED)
            again = next_reminder(before, now, self._limits.reminders)
            if again is not None:
                wait_s = (again - now).total_seconds()
                raise MeshError(SimulatorReason.REMINDED_ENOUGH, retry_after_s=wait_s)

        await self._store.remind(msgid, now, may)

    async def cancel(self, msgid: str) -> bool:
        """Cancel a task; False when it was confirmed before. WeCom does not call back for it.

        Raises:
            MeshError: CALL_RATE_EXCEEDED or MESSAGE_TASK_UNKNOWN.
        """
        self._cancelling.take()
        return await self._store.cancel(msgid) is TaskState.CANCELLED

    async def plan(self, plans: Mapping[str, str]) -> None:
        """Say with which codes messages to contacts fail from now on; empty: they arrive."""
        await self._store.plan(plans)

    async def confirm(self, userid: str, msgids: Collection[str]) -> int:
        """The member presses "send"; how many tasks that confirmed.

        Raises:
            MeshError: MESSAGE_TASK_UNKNOWN, when one is not this member's.
        """
        now = self._clock.now()
        month = now.astimezone(BANK_ZONE).date().replace(day=1)
        allowed = self._limits.a_month(month)

        def decide(
            tasks: Sequence[MessageTask], plans: Mapping[str, str], sent: Mapping[str, int]
        ) -> Sequence[Sending]:
            return sendings(tasks, plans, sent, allowed)

        confirmed = await self._store.confirm(userid, msgids, now, month, decide)
        if confirmed:
            self._owed()
        return confirmed
