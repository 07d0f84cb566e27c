"""Passes reminders on to WeCom."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

import grpc

from centers.wecom.domain import REMINDER_WINDOW, MessageTask
from centers.wecom.outgoing import Away, Outgoing
from mesh.clock import Clock
from mesh.errors import ErrorView
from mesh.log import get_logger

BATCH: Final = 64

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

    async def untold(self, since: datetime, limit: int) -> Sequence[tuple[int, MessageTask]]:
        """Reminders by number, made since then, oldest first, with their tasks."""

    async def told(self, reminder_ids: Sequence[int]) -> None:
        """WeCom has them."""


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
    often enough; so is one that is a day old.
    """

    def __init__(self, reminders: Reminders, server: Server, clock: Clock) -> None:
        super().__init__()
        self._reminders = reminders
        self._server = server
        self._clock = clock

    async def _round(self) -> bool:
        since = self._clock.now() - REMINDER_WINDOW
        untold = await self._reminders.untold(since, BATCH)
        done: list[int] = []
        try:
            for reminder_id, task in untold:
                await self._tell(task)
                done.append(reminder_id)
        finally:
            if done:
                await self._reminders.told(done)
        return bool(untold)

    async def _tell(self, task: MessageTask) -> None:
        try:
            await self._server.remind(task)
        except grpc.aio.AioRpcError as error:
            if error.code() in _AWAY:
                raise Away(error) from error
            reason = ErrorView.from_rpc(error).reason
            _log.warning("reminder_dropped", code=error.code().name, reason=reason)
