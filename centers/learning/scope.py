"""Whose qualifications a caller sees."""

from __future__ import annotations

from typing import Any

from engine.mesh.v1 import policy_pb2
from mesh.context import Principal, Scope


class StaffScope:
    """Answers whether a caller reaches a member of staff: all of them, or himself.

    A `mesh.service.ScopeResolver` for `staff_id`.
    """

    async def __call__(self, principal: Principal, scope: Scope, row: Any) -> bool:
        if scope == policy_pb2.SCOPE_ALL:
            return True
        if scope == policy_pb2.SCOPE_UNSPECIFIED:
            return False
        return bool(principal.staff_id) and principal.staff_id == row
