"""Whose message tasks a caller reaches: his own."""

from __future__ import annotations

from typing import Any, Protocol

from engine.mesh.v1 import policy_pb2
from mesh.context import Principal, Scope


class MemberSource(Protocol):
    """Where the member of a task is found."""

    async def member(self, message_task_id: int) -> int:
        """Staff number of the member of a task; 0 when there is no such task."""


class MemberScope:
    """Answers whether a caller is the member who must confirm a task.

    A `mesh.service.ScopeResolver` for `message_task_id`. A message is in the
    member's own WeCom; nobody else has it there, whatever else he may see.
    """

    def __init__(self, source: MemberSource) -> None:
        self._source = source

    async def __call__(self, principal: Principal, scope: Scope, row: Any) -> bool:
        if scope == policy_pb2.SCOPE_UNSPECIFIED or not principal.staff_id:
            return False
        return await self._source.member(row) == principal.staff_id
