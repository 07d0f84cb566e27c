"""Whose tasks a caller reaches: those on his own desk, or on the desks of his branch."""

from __future__ import annotations

from typing import Any, Protocol

from centers.action.domain import Task
from engine.mesh.v1 import policy_pb2
from mesh.context import Principal, Scope


class Tasks(Protocol):
    """Where tasks are found."""

    async def find(self, task_id: int) -> Task | None:
        """The task of this id."""


class TaskScope:
    """A `mesh.service.ScopeResolver` for methods whose `scope_field` is a task.

    Tasks and scopes that are unknown are out of reach; a number of 0 never matches,
    so that no branch reaches the desks of head office.
    """

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks

    async def __call__(self, principal: Principal, scope: Scope, row: Any) -> bool:
        task = await self._tasks.find(row)
        return task is not None and _is_within(task, principal, scope)


def _is_within(task: Task, principal: Principal, scope: Scope) -> bool:
    owner = task.owner
    if scope == policy_pb2.SCOPE_ALL:
        return True
    if scope == policy_pb2.SCOPE_BRANCH:
        return principal.branch_id != 0 and principal.branch_id == owner.branch_id
    if scope == policy_pb2.SCOPE_OWN_BOOK:
        return principal.staff_id != 0 and principal.staff_id == owner.owner_id
    return False
