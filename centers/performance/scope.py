"""How far a caller sees into the ledger: all of it, his branch's entries, or his own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

from centers.performance.domain import Credit
from engine.mesh.v1 import policy_pb2
from mesh.context import Principal, RequestContext, Scope

OWN: Final = frozenset({policy_pb2.SCOPE_OWN_BOOK, policy_pb2.SCOPE_SELF})
"""Scopes in which somebody sees what he got himself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Entries that somebody sees. Numbers of 0 reach nothing: what nobody got is the bank's."""

    scope: Scope
    staff_id: int = 0
    branch_id: int = 0

    @classmethod
    def of(cls, present: RequestContext) -> Reach:
        """That of the call being served."""
        assert present.principal is not None, "methods with a scope have a signed-on user"
        return cls.within(present.principal, present.scope)

    @classmethod
    def within(cls, principal: Principal, scope: Scope) -> Reach:
        """That of a user in a scope."""
        return cls(scope=scope, staff_id=principal.staff_id, branch_id=principal.branch_id)

    @property
    def is_all(self) -> bool:
        """Whether it is the whole bank's."""
        return self.scope == policy_pb2.SCOPE_ALL

    def holds(self, entry: Credit) -> bool:
        """Whether the entry lies within."""
        if self.is_all:
            return True
        if entry.owner_id == 0:
            return False
        if self.scope == policy_pb2.SCOPE_BRANCH:
            return self.branch_id != 0 and entry.branch_id == self.branch_id
        return self.scope in OWN and self.staff_id != 0 and entry.owner_id == self.staff_id


class EntrySource(Protocol):
    """Where entries are found."""

    async def find(self, credit_id: int) -> Credit | None:
        """The entry; None when there is none."""


class CreditScope:
    """A `mesh.service.ScopeResolver` for methods whose `scope_field` is an entry."""

    def __init__(self, source: EntrySource) -> None:
        self._source = source

    async def __call__(self, principal: Principal, scope: Scope, row: Any) -> bool:
        entry = await self._source.find(row)
        return entry is not None and Reach.within(principal, scope).holds(entry)
