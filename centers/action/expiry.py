"""Opportunities that nothing came of in time expire, and their open tasks with them."""

from __future__ import annotations

import asyncio
from typing import Final

from centers.action.desk import Desk
from centers.action.events import opportunity_changed
from centers.action.opportunity_rows import OpportunityRows
from engine.action.v1 import action_pb2
from mesh.background import Background
from mesh.clock import Clock
from mesh.log import get_logger
from mesh.storage import StorageError, Store, Transaction

EVERY_S: Final = 30.0
"""Between two looks: a task may stay that long beyond its end."""

_log = get_logger(__name__)


class Expiry(Background):
    """Expires what is past its time, a batch in each transaction, for as long as it is entered.

    Args:
        store: the centre's database.
        desk: where the tasks are.
        opportunities: where the opportunities are.
        clock: says what is past.
    """

    def __init__(
        self, store: Store, desk: Desk, opportunities: OpportunityRows, clock: Clock
    ) -> None:
        self._store = store
        self._desk = desk
        self._opportunities = opportunities
        self._clock = clock

    async def _run(self) -> None:
        while True:
            try:
                await self.expire()
            except Exception as error:  # noqa: BLE001 - nothing may end it: tasks would stay
                if not isinstance(error, StorageError):
                    _log.exception("expiry_broken")
                _log.warning("expiry_failed", error=type(error).__name__)
            await asyncio.sleep(EVERY_S)

    async def expire(self) -> int:
        """Expire all that is past its time now; how many tasks were closed."""
        expired = 0
        while closed := await self._tasks():
            expired += closed
        while await self._opportunities_without_task():
            pass
        return expired

    async def _tasks(self) -> int:
        async with self._store.transaction() as tx:
            overdue = await self._desk.tasks.overdue(tx, self._clock.now())
            for task in overdue:
                await self._end(tx, task.opportunity_id)
            return await self._desk.close(tx, overdue, action_pb2.TASK_STATE_EXPIRED)

    async def _opportunities_without_task(self) -> int:
        """Of customers who could not be reached, and of tasks that were recalled."""
        async with self._store.transaction() as tx:
            overdue = await self._opportunities.overdue(tx, self._clock.now())
            for opportunity in overdue:
                await self._end(tx, opportunity.opportunity_id)
            return len(overdue)

    async def _end(self, tx: Transaction, opportunity_id: int) -> None:
        expired = await self._opportunities.move(
            tx,
            opportunity_id,
            before=action_pb2.OPPORTUNITY_STATE_TASKED,
            after=action_pb2.OPPORTUNITY_STATE_EXPIRED,
        )
        if expired is not None:
            tx.publish(opportunity_changed(expired))
