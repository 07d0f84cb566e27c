"""Whose grants a caller reaches: those of the customers whom he reaches."""

from __future__ import annotations

from typing import Any, Protocol

from mesh.context import Principal, Scope
from mesh.service import ScopeResolver


class GrantSource(Protocol):
    """Where the customer of a grant is found."""

    async def customer(self, grant_id: int) -> int:
        """The customer; 0 when there is no such grant."""


class GrantScope:
    """A `mesh.service.ScopeResolver` for methods whose `scope_field` is a grant."""

    def __init__(self, source: GrantSource, customers: ScopeResolver) -> None:
        self._source = source
        self._customers = customers

    async def __call__(self, principal: Principal, scope: Scope, row: Any) -> bool:
        customer_id = await self._source.customer(row)
        return bool(customer_id) and await self._customers(principal, scope, customer_id)
