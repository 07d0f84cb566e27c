"""Tasks as they come to desks, change and leave them: rows, owners and events together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from centers.action.domain import Task, TaskState
from centers.action.events import task_changed
from centers.action.owner_rows import OwnerRows
from centers.action.task_rows import TaskRows
from mesh.clock import Clock
from mesh.storage import Transaction

CREATED = "CREATED"
"""Why the first owner of a task has it."""


class Desk:
    """Changes tasks within the transactions of others. Every change tells its event."""

    def __init__(self, tasks: TaskRows, owners: OwnerRows, clock: Clock) -> None:
        self.tasks = tasks
        self.owners = owners
        self._clock = clock

    async def put(self, tx: Transaction, made: Task) -> None:
        """Put a new task on its owner's desk."""
        await self.tasks.add(tx, made)
        await self.owners.begin(tx, made, CREATED)
        tx.publish(task_changed(made))

    async def change(self, tx: Transaction, before: Task, after: Task) -> None:
        """Store what became of a task; nothing when nothing did.

        Raises:
            MeshError: TASK_ETAG_MISMATCH.
        """
        if after is before:
            return
        await self.tasks.replace(tx, before, after)
        tx.publish(task_changed(after))

    async def move(self, tx: Transaction, before: Task, after: Task, reason: str) -> None:
        """Store a task that was given to another owner, who has it from now on.

        Raises:
            MeshError: TASK_ETAG_MISMATCH.
        """
        if after is before:
            return
        await self.change(tx, before, after)
        await self.owners.hand_over(tx, after, reason)

    async def close(self, tx: Transaction, tasks: Sequence[Task], state: TaskState) -> int:
        """Close open tasks, read in this transaction, in one statement; how many."""
        if not tasks:
            return 0
        now = self._clock.now()
        closed = [one.ended(state, now) for one in tasks]
        await self.tasks.close(tx, closed)
        for one in closed:
            tx.publish(task_changed(one))
        return len(closed)

    async def recall(
        self, tx: Transaction, state: TaskState, scene_id: int, scene_version: int = 0
    ) -> int:
        """Close all open tasks of a scene, or of one version of it; how many there were.

        The loop has a turn after each 250 of them.
        """
        closed = 0
        while found := await self.tasks.open_of_scene(tx, scene_id, scene_version):
            closed += await self.close(tx, found, state)
            await asyncio.sleep(0)
        return closed
