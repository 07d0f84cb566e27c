"""Use cases of the customer centre: the book, the portrait, the import."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

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
from centers.customer.intake import faults
from mesh.errors import MeshError, MeshReason
from mesh.ownership import Owner
from mesh.paging import Page, PageRequest

Found = TypeVar("Found")


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

    async def customers(self, customer_ids: Collection[int]) -> Mapping[int, Customer]:
        """The customers with these tokens, as far as they are known."""

    async def owners(self, customer_ids: Collection[int]) -> Mapping[int, Owner]:
        """Who looks after these customers, as far as they are known."""

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
        violations = list(faults(customers))
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

    async def customers(self, customer_ids: Sequence[int]) -> Sequence[Customer]:
        """The customers with these tokens that are known, in the order asked, each once."""
        return _in_order(customer_ids, await self._store.customers(customer_ids))

    async def owners(self, customer_ids: Sequence[int]) -> Sequence[Owner]:
        """Owners of the customers that are known, in the order asked, each once."""
        return _in_order(customer_ids, await self._store.owners(customer_ids))

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


def _in_order(keys: Sequence[int], found: Mapping[int, Found]) -> Sequence[Found]:
    return [found[key] for key in dict.fromkeys(keys) if key in found]
