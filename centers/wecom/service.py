"""Use cases of message tasks: create, list, remind of, cancel, and learn from callbacks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final, Protocol, TypeVar

import grpc
from google.protobuf.message import Message

from centers.wecom.domain import (
    CANCELLED,
    CREATED,
    MEMBER_PENDING,
    Binding,
    MessageTask,
    Order,
    Standing,
    next_reminder,
    ordered,
    told,
)
from centers.wecom.errors import WecomReason
from mesh.clock import Clock
from mesh.errors import MeshError
from mesh.paging import Page, PageRequest

CURSOR_KEYS: Final = 2
RETRY_AFTER_S: Final = 1.0

_UNREACHABLE: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})

Answer = TypeVar("Answer", bound=Message)
Found = TypeVar("Found")

Change = Callable[[MessageTask], MessageTask]
"""Makes of a task what it is to be; the same object when nothing changes."""


class MessageTasks(Protocol):
    """Where message tasks are held. A change of where one stands is told to all others."""

    async def of_contact(self, contact_id: int) -> MessageTask | None:
        """The task of a contact."""

    async def add(
        self, contact_id: int, customer_id: int, make: Callable[[Binding | None], MessageTask]
    ) -> MessageTask:
        """Store what `make` makes of the customer's binding; the contact's task when it has one."""

    async def change(self, contact_id: int, change: Change) -> MessageTask | None:
        """Change the task of a contact; the task then, None when there is none."""

    async def change_by_msgid(self, msgid: str, change: Change) -> MessageTask | None:
        """The same for the task that WeCom knows by that id."""

    async def pending(
        self, staff_id: int, *, now: datetime, after: tuple[int, ...] | None, limit: int
    ) -> Sequence[MessageTask]:
        """The tasks that wait for a member, oldest first, with their reminders counted."""


class Reminders(Protocol):
    """Where reminders are held."""

    async def remind(
        self,
        message_task_id: int,
        now: datetime,
        may: Callable[[MessageTask, Sequence[datetime]], None],
        respond: Callable[[MessageTask], Answer],
    ) -> Answer:
        """Record a reminder that `may`, given those before, does not refuse."""


class Server(Protocol):
    """WeCom itself. What it refuses is an `AioRpcError`."""

    async def add(self, task: MessageTask) -> str:
        """Create the task; the same contact again is the same task. Answers its msgid."""

    async def cancel(self, task: MessageTask) -> bool:
        """Cancel a task with a msgid; False when its member had confirmed it."""


class Ids(Protocol):
    """Where ids of new tasks come from."""

    async def next(self) -> int:
        """An id that nobody else gets."""


class Messages:
    """Keeps message tasks, from the order to what WeCom tells of them.

    Args:
        tasks: where they are held.
        reminders: where reminders of them are held.
        server: WeCom.
        ids: of new tasks.
        clock: dates changes.
        on_order: called when there is a task to be handed over.
        on_reminder: called when there is a reminder to be passed on.
    """

    def __init__(
        self,
        tasks: MessageTasks,
        reminders: Reminders,
        server: Server,
        ids: Ids,
        clock: Clock,
        *,
        on_order: Callable[[], None],
        on_reminder: Callable[[], None],
    ) -> None:
        self._tasks = tasks
        self._reminders = reminders
        self._server = server
        self._ids = ids
        self._clock = clock
        self._on_order = on_order
        self._on_reminder = on_reminder

    async def create(self, order: Order) -> MessageTask:
        """Record the task of a contact and answer at once; WeCom is told in the background.

        Raises:
            MeshError: CONTACT_REUSED.
        """
        task = await self._tasks.of_contact(order.contact_id)
        if task is None:
            message_task_id = await self._ids.next()
            now = self._clock.now()
            task = await self._tasks.add(
                order.contact_id,
                order.customer_id,
                lambda binding: ordered(order, binding, message_task_id, now),
            )
            self._on_order()
        if not task.is_of(order):
            raise MeshError(WecomReason.CONTACT_REUSED)
        return task

    async def pending(self, staff_id: int, request: PageRequest) -> Page[MessageTask]:
        """A page of the tasks that wait for a member.

        Raises:
            MeshError: PAGE_TOKEN_INVALID.
        """
        rows = await self._tasks.pending(
            staff_id,
            now=self._clock.now(),
            after=request.after_numbers(CURSOR_KEYS),
            limit=request.limit,
        )
        return request.page(rows, lambda task: task.cursor)

    async def remind(
        self, message_task_id: int, respond: Callable[[MessageTask], Answer]
    ) -> Answer:
        """Record a reminder; WeCom is told in the background.

        Raises:
            MeshError: MESSAGE_TASK_CLOSED or REMINDED_ENOUGH.
        """
        now = self._clock.now()

        def may(task: MessageTask, before: Sequence[datetime]) -> None:
            if task.standing.state != MEMBER_PENDING:
                raise MeshError(WecomReason.MESSAGE_TASK_CLOSED)
            again = next_reminder(before, now)
            if again is not None:
                wait_s = (again - now).total_seconds()
                raise MeshError(WecomReason.REMINDED_ENOUGH, retry_after_s=wait_s)

        answer = await self._reminders.remind(message_task_id, now, may, respond)
        self._on_reminder()
        return answer

    async def cancel(self, contact_id: int) -> MessageTask:
        """Take a task back unless its member confirmed it; the task as it stands then.

        One of which WeCom may know is cancelled there first.

        Raises:
            MeshError: MESSAGE_TASK_NOT_FOUND or WECOM_UNAVAILABLE.
        """
        cancelled = Standing(state=CANCELLED)

        def withdraw(task: MessageTask) -> MessageTask:
            known = task.standing.state != CREATED or task.offered
            return task if known else task.after(cancelled, self._clock.now())

        task = await self._tasks.change(contact_id, withdraw)
        if task is None:
            raise MeshError(WecomReason.MESSAGE_TASK_NOT_FOUND)
        if task.standing.state not in (CREATED, MEMBER_PENDING):
            return task
        task = await self._handed_over(task)
        if not await _reached(self._server.cancel(task)):
            return task
        return await self._moved(task, cancelled)

    async def take_in(
        self, msgid: str, external_userid: str, change_type: str, result_code: str
    ) -> None:
        """Learn from a callback of WeCom; again or out of order it changes nothing.

        Raises:
            MeshError: CALLBACK_UNKNOWN, when it overtook the answer that names the msgid.
        """
        standing, now = told(change_type, result_code), self._clock.now()

        def learn(task: MessageTask) -> MessageTask:
            if external_userid and external_userid != task.external_userid:
                raise MeshError(WecomReason.CALLBACK_UNKNOWN)
            return task.after(standing, now)

        if await self._tasks.change_by_msgid(msgid, learn) is None:
            raise MeshError(WecomReason.CALLBACK_UNKNOWN, retry_after_s=RETRY_AFTER_S)

    async def _handed_over(self, task: MessageTask) -> MessageTask:
        """The task with its msgid, for which WeCom is asked when it did not say."""
        if task.msgid:
            return task
        msgid = await _reached(self._server.add(task))
        return await self._moved(task, Standing(state=MEMBER_PENDING), msgid)

    async def _moved(self, task: MessageTask, standing: Standing, msgid: str = "") -> MessageTask:
        now = self._clock.now()
        moved = await self._tasks.change(
            task.contact_id, lambda present: present.after(standing, now, msgid=msgid)
        )
        return moved or task


async def _reached(call: Awaitable[Found]) -> Found:
    """The answer of WeCom; WECOM_UNAVAILABLE when there is none."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        if error.code() not in _UNREACHABLE:
            raise
        unavailable = WecomReason.WECOM_UNAVAILABLE
        raise MeshError(unavailable, retry_after_s=RETRY_AFTER_S) from error
