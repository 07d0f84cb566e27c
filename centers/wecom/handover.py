"""Hands message tasks over to WeCom."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

import grpc

from centers.wecom.domain import FAILED, MEMBER_PENDING, REJECTED, MessageTask, Standing
from centers.wecom.outgoing import Away, Outgoing, delay_s
from mesh.clock import Clock
from mesh.errors import ErrorView, MeshReason
from mesh.log import get_logger

BATCH: Final = 64
"""Tasks handed over between two looks at the database."""

CONCURRENCY: Final = 16

HOLDS_FOR: Final = timedelta(seconds=10)
"""How long a process has the tasks that it took up: longer than WeCom may take for them all.
Those of one that died are offered again after so long."""

LAST_DELAY_S: Final = 60.0

AWAY: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAUTHENTICATED,  # a service that is just being restarted
    }
)
"""Failures that say nothing about the task itself."""

_REFUSED: Final = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.OUT_OF_RANGE,
    }
)
"""Failures that will be the same next time."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a task after it was offered."""

    task: MessageTask
    standing: Standing
    msgid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A task to be offered again from `until` on; `offered`: WeCom may know it already."""

    task: MessageTask
    until: datetime
    offered: bool
    attempted: bool = False


class Offers(Protocol):
    """Where tasks wait that WeCom does not know yet."""

    async def offer(self, now: datetime, until: datetime, limit: int) -> Sequence[MessageTask]:
        """Tasks to be handed over now, marked as such: from then on WeCom may know them.

        Nobody else is offered them until then.
        """

    async def settle(
        self, known: Sequence[Known], waiting: Sequence[Waiting], now: datetime, until: datetime
    ) -> None:
        """Record what became of them; nothing of those that somebody else has by now.

        `until` is that of their offer.
        """


class Server(Protocol):
    """WeCom itself."""

    async def add(self, task: MessageTask) -> str:
        """Create the task; the same contact again is the same task. Answers its msgid.

        Raises:
            grpc.aio.AioRpcError: WeCom refuses, or cannot be reached.
        """


@dataclass(slots=True)
class _Round:
    known: list[Known] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    away: grpc.aio.AioRpcError | None = None


class Handover(Outgoing):
    """Tells WeCom of new tasks for as long as it is entered.

    A task is marked before the call, so that one which WeCom may know is never
    taken for one that it cannot know; the call can be repeated, since the contact
    is its key. Of several processes each hands over what it took up.
    """

    def __init__(self, offers: Offers, server: Server, clock: Clock) -> None:
        super().__init__()
        self._offers = offers
        self._server = server
        self._clock = clock

    async def _round(self) -> bool:
        now = self._clock.now()
        until = now + HOLDS_FOR
        tasks = await self._offers.offer(now, until, BATCH)
        if not tasks:
            return False
        outcome, room = _Round(), asyncio.Semaphore(CONCURRENCY)
        try:
            async with asyncio.TaskGroup() as hands:
                for task in tasks:
                    hands.create_task(self._hand_over(task, outcome, room))
        finally:
            waiting = [*outcome.waiting, *self._cut_off(tasks, outcome)]
            await self._offers.settle(outcome.known, waiting, self._clock.now(), until)
        if outcome.away is not None:
            raise Away(outcome.away)
        return True

    async def _hand_over(self, task: MessageTask, outcome: _Round, room: asyncio.Semaphore) -> None:
        async with room:
            if outcome.away is not None:
                outcome.waiting.append(self._untouched(task))
                return
            try:
                msgid = await self._server.add(task)
            except grpc.aio.AioRpcError as error:
                self._failed(task, error, outcome)
                return
            pending = Standing(state=MEMBER_PENDING)
            outcome.known.append(Known(task=task, standing=pending, msgid=msgid))

    def _failed(self, task: MessageTask, error: grpc.aio.AioRpcError, outcome: _Round) -> None:
        code, reason = error.code(), ErrorView.from_rpc(error).reason
        now = self._clock.now()
        if code in AWAY:
            outcome.away = error
            reached = reason != MeshReason.UNAVAILABLE.name  # no instance: nobody heard of it
            waiting = Waiting(task=task, until=now, offered=task.offered or reached)
            outcome.waiting.append(waiting)
        elif code in _REFUSED:
            _log.warning("message_task_rejected", code=code.name, reason=reason)
            failed = Standing(state=FAILED, result_code=REJECTED)
            outcome.known.append(Known(task=task, standing=failed))
        else:
            _log.error("message_task_postponed", code=code.name, reason=reason)
            until = now + timedelta(seconds=delay_s(task.attempts, LAST_DELAY_S))
            outcome.waiting.append(Waiting(task=task, until=until, offered=True, attempted=True))

    def _cut_off(self, tasks: Sequence[MessageTask], outcome: _Round) -> Iterator[Waiting]:
        """Those of which nothing is known, when the round did not come to its end."""
        heard_of = {one.task.message_task_id for one in outcome.known}
        heard_of |= {one.task.message_task_id for one in outcome.waiting}
        for task in tasks:
            if task.message_task_id not in heard_of:
                yield Waiting(task=task, until=self._clock.now(), offered=True)

    def _untouched(self, task: MessageTask) -> Waiting:
        """As it was before this round."""
        return Waiting(task=task, until=self._clock.now(), offered=task.offered)
