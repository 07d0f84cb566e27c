"""Passes reminders on to WeCom."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

import grpc

from centers.wecom.domain import MessageTask
from centers.wecom.outgoing import Away, Outgoing
from mesh.clock import Clock
from mesh.errors import ErrorView
from mesh.log import get_logger

BATCH: Final = 16

HOLDS_FOR: Final = timedelta(seconds=40)
"""How long a process has the reminders that it took up: longer than WeCom may take for them all.
Those of one that died are passed on after so long."""

_AWAY: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNAUTHENTICATED,
    }
)

_log = get_logger(__name__)


class Reminders(Protocol):
    """Where reminders wait that WeCom does not know yet."""

    async def take(
        self, now: datetime, until: datetime, limit: int
    ) -> Sequence[tuple[int, MessageTask]]:
        """Reminders of the last day by number, oldest first, with their tasks.

        Nobody else gets them until then.
        """

    async def settle(self, told: Sequence[int], left: Sequence[int], until: datetime) -> None:
        """WeCom has those that were told; those left over are anybody's again.

        `until` is that of their taking.
        """


class Server(Protocol):
    """WeCom itself."""

    async def remind(self, task: MessageTask) -> None:
        """Remind the member of a task with a msgid.

        Raises:
            grpc.aio.AioRpcError: WeCom refuses, or cannot be reached.
        """


class Reminding(Outgoing):
    """Tells WeCom of reminders for as long as it is entered.

    One that WeCom refuses is dropped, since its task is closed or was reminded of
    often enough; so is one that is a day old. Of several processes each passes on
    what it took up.
    """

    def __init__(self, reminders: Reminders, server: Server, clock: Clock) -> None:
        super().__init__()
        self._reminders = reminders
        self._server = server
        self._clock = clock

    async def _round(self) -> bool:
        now = self._clock.now()
        until = now + HOLDS_FOR
        taken = await self._reminders.take(now, until, BATCH)
        left = [reminder_id for reminder_id, _ in taken]
        told: list[int] = []
        try:
            for _, task in taken:
                await self._tell(task)
                told.append(left.pop(0))
        finally:
            if taken:
                await self._reminders.settle(told, left, until)
        return bool(taken)

    async def _tell(self, task: MessageTask) -> None:
        try:
            await self._server.remind(task)
        except grpc.aio.AioRpcError as error:
            if error.code() in _AWAY:
                raise Away(error) from error
            reason = ErrorView.from_rpc(error).reason
            _log.warning("reminder_dropped", code=error.code().name, reason=reason)
