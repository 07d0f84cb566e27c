"""Use cases of the customer centre: the book, the portrait, the import."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from centers.customer.domain import (
    RECENT_FOLLOW_UPS,
    Cursor,
    Customer,
    FollowUp,
    MaskedValues,
    Order,
    Portrait,
    Reach,
    Statistics,
)
from centers.customer.errors import CustomerReason
from centers.customer.filter import Condition
from engine.customer.v1 import customer_pb2
from mesh.errors import MeshError, MeshReason, Violation
from mesh.paging import Page, PageRequest

_TIERS = frozenset(customer_pb2.Tier.values()) - {customer_pb2.TIER_UNSPECIFIED}
_GRADES = frozenset(customer_pb2.RiskGrade.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which customers to read: at most `limit`, in `order`, beginning after a cursor."""

    reach: Reach
    conditions: Sequence[Condition]
    order: Order
    after: Cursor | None
    limit: int


class CustomerStore(Protocol):
    """Where customers are held."""

    async def replace(self, customers: Collection[Customer]) -> None:
        """Store all of them or none; those that are known are replaced."""

    async def customer(self, customer_id: int) -> Customer | None:
        """The customer with this token."""

    async def select(self, selection: Selection) -> Sequence[Customer]:
        """The customers selected."""

    async def statistics(self) -> Statistics:
        """How much is held."""


class Recent(Protocol):
    """Where the newest follow-ups are found."""

    async def newest(
        self, customer_id: int, *, after: Cursor | None, limit: int
    ) -> Sequence[FollowUp]:
        """Follow-ups of a customer, newest first, beginning after a cursor."""


class MaskedSource(Protocol):
    """Where masked values come from."""

    async def masked(self, customer_id: int) -> MaskedValues | None:
        """What the Ark shows of the customer; None when it does not know him."""


class Customers:
    """Answers what may be known of customers, by token."""

    def __init__(self, store: CustomerStore, recent: Recent, ark: MaskedSource) -> None:
        self._store = store
        self._recent = recent
        self._ark = ark

    async def take_in(self, customers: Sequence[Customer]) -> int:
        """Store the customers and answer how many.

        Raises:
            MeshError: IMPORT_INVALID, naming the entries.
        """
        violations = list(_import_violations(customers))
        if violations:
            raise MeshError(CustomerReason.IMPORT_INVALID, violations=violations)
        await self._store.replace(customers)
        return len(customers)

    async def customer(self, customer_id: int) -> Customer:
        """The customer with this token.

        Raises:
            MeshError: OUT_OF_SCOPE, when there is none.
        """
        found = await self._store.customer(customer_id)
        if found is None:
            raise MeshError(MeshReason.OUT_OF_SCOPE)
        return found

    async def reaches(self, reach: Reach, customer_id: int) -> bool:
        """Whether there is such a customer within reach."""
        found = await self._store.customer(customer_id)
        return found is not None and reach.covers(found)

    async def book(
        self, reach: Reach, conditions: Sequence[Condition], order: Order, request: PageRequest
    ) -> Page[Customer]:
        """A page of the customers within reach that meet all conditions.

        Raises:
            MeshError: PAGE_TOKEN_INVALID.
        """
        selection = Selection(
            reach=reach,
            conditions=conditions,
            order=order,
            after=request.after_numbers(len(order.fields)),
            limit=request.limit,
        )
        return request.page(await self._store.select(selection), order.cursor)

    async def portrait(self, customer_id: int) -> Portrait:
        """The customer with his masked values and his newest follow-ups.

        Raises:
            MeshError: ARK_UNAVAILABLE, or OUT_OF_SCOPE when there is no such customer.
        """
        customer = await self.customer(customer_id)
        shown = await self._ark.masked(customer_id)
        recent = await self._recent.newest(customer_id, after=None, limit=RECENT_FOLLOW_UPS)
        return Portrait(customer=customer, shown=shown, recent=recent)

    async def statistics(self) -> Statistics:
        """How much is held."""
        return await self._store.statistics()


def _import_violations(customers: Sequence[Customer]) -> Iterator[Violation]:
    first: dict[int, int] = {}
    for index, customer in enumerate(customers):
        place = f"customers[{index}]"
        before = first.setdefault(customer.customer_id, index)
        if before != index:
            yield Violation(f"{place}.customer_id", f"the same token as customers[{before}]")
        if customer.customer_id <= 0:
            yield Violation(f"{place}.customer_id", "must be greater than 0")
        if customer.tier not in _TIERS:
            yield Violation(f"{place}.tier", "must be a tier of the contract")
        if customer.risk_grade not in _GRADES:
            yield Violation(f"{place}.risk_grade", "must be a grade of the contract")
