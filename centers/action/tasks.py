"""Use cases of tasks on a desk: list, begin, give to another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from google.protobuf.message import Message

from centers.action.desk import Desk
from centers.action.domain import OwnerInterval, Task, TaskOwner, TaskState, Worker
from centers.action.errors import ActionReason
from centers.action.strategies import Strategies
from engine.mesh.v1 import ownership_pb2
from mesh import context
from mesh.audit import note
from mesh.clock import Clock
from mesh.errors import MeshError
from mesh.paging import Page, PageRequest
from mesh.privacy import holds_personal_number
from mesh.storage import Store

Answer = TypeVar("Answer", bound=Message)


class Tasks:
    """What is done with tasks. That the task is in the caller's scope was checked before.

    `respond` makes the call's answer from the task as stored; it is kept in the
    same transaction, so that a repeated call gets the same answer.
    """

    def __init__(self, store: Store, desk: Desk, strategies: Strategies, clock: Clock) -> None:
        self._store = store
        self._desk = desk
        self._strategies = strategies
        self._clock = clock

    async def page(
        self, request: PageRequest, owner_id: int, *, state: TaskState, scene_id: int
    ) -> Page[Task]:
        """A page of an owner's tasks, those due first at the head.

        Raises:
            MeshError: PAGE_TOKEN_INVALID.
        """
        return await self._desk.tasks.page(request, owner_id, state=state, scene_id=scene_id)

    async def owners(self, task_id: int) -> Sequence[OwnerInterval]:
        """Who owned the task when, oldest first."""
        return await self._desk.owners.of(task_id)

    async def start(
        self, task_id: int, worker: Worker, respond: Callable[[Task], Answer]
    ) -> Answer:
        """Begin a task; once more changes nothing.

        Raises:
            MeshError: OUT_OF_SCOPE, TASK_CLOSED or LEASE_HELD.
        """
        async with self._store.transaction() as tx:
            task = await self._desk.tasks.get(tx, task_id)
            note(customer_id=task.customer_id, chain=task.chain)
            started = task.started(worker, self._clock.now())
            await self._desk.change(tx, task, started)
            answer = respond(started)
            tx.answer(answer)
        return answer

    async def reassign(
        self, task_id: int, owner: TaskOwner, reason: str, respond: Callable[[Task], Answer]
    ) -> Answer:
        """Give a task to another owner from this instant on; to the present one changes nothing.

        Raises:
            MeshError: REASON_NOT_A_CODE, OWNER_NOT_ALLOWED, TASK_CLOSED, or
                TASK_ETAG_MISMATCH when the task was changed meanwhile: then it may be
                another branch's.
        """
        if holds_personal_number(reason):
            raise MeshError(ActionReason.REASON_NOT_A_CODE)
        found = await self._desk.tasks.known(task_id)
        await self._must_be_allowed(found, owner)
        async with self._store.transaction() as tx:
            note(customer_id=found.customer_id, chain=found.chain)
            given = found.given(owner, self._clock.now())
            await self._desk.move(tx, found, given, reason)
            answer = respond(given)
            tx.answer(answer)
        return answer

    async def _must_be_allowed(self, task: Task, owner: TaskOwner) -> None:
        """A manager gets it in the caller's branch alone, agents and robots at head office."""
        strategy = await self._strategies.behind(task)
        principal = context.current().principal
        is_manager = owner.kind == ownership_pb2.OWNER_KIND_RELATIONSHIP_MANAGER
        branch_id = principal.branch_id if is_manager and principal is not None else 0
        if owner.branch_id != branch_id or not strategy.allows(task.node, owner.kind):
            raise MeshError(ActionReason.OWNER_NOT_ALLOWED)
