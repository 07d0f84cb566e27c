"""The customer centre's database: customers by token, and who works with them."""

from __future__ import annotations

import asyncio
import heapq
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final

import sqlalchemy as sa

from centers.customer.domain import Customer, Extent, Reach, Statistics, undivided
from centers.customer.selection_rows import assisting, selecting
from centers.customer.service import Selection
from centers.customer.tables import customer as customer_table
from centers.customer.tables import customer_share
from centers.customer.tables import follow_up as follow_up_table
from mesh.clock import from_micros, to_micros
from mesh.ownership import Owner, Share
from mesh.storage import Row, Store

_DELETE_CUSTOMER = sa.delete(customer_table).where(
    customer_table.c.customer_id == sa.bindparam("token")
)
_DELETE_SHARES = sa.delete(customer_share).where(
    customer_share.c.customer_id == sa.bindparam("token")
)
_INSERT_CUSTOMER = sa.insert(customer_table)
_INSERT_SHARE = sa.insert(customer_share)
_CUSTOMER = sa.select(customer_table).where(customer_table.c.customer_id == sa.bindparam("token"))
_AMONG = customer_table.c.customer_id.in_(sa.bindparam("tokens", expanding=True))
_CUSTOMERS = sa.select(customer_table).where(_AMONG)
_OWNERS = sa.select(
    customer_table.c.customer_id,
    customer_table.c.owner_kind,
    customer_table.c.owner_id,
    customer_table.c.branch_id,
    customer_table.c.is_shared,
).where(_AMONG)
_SHARES = (
    sa.select(customer_share)
    .where(customer_share.c.customer_id.in_(sa.bindparam("tokens", expanding=True)))
    .order_by(customer_share.c.customer_id, customer_share.c.position)
)
_ASSISTED = (
    sa.select(customer_share.c.customer_id)
    .where(customer_share.c.staff_id == sa.bindparam("staff"), customer_share.c.position > 0)
    .limit(1)
)
_COUNTS = sa.select(
    sa.select(sa.func.count()).select_from(customer_table).scalar_subquery().label("customers"),
    sa.select(sa.func.count()).select_from(follow_up_table).scalar_subquery().label("follow_ups"),
)

AT_ONCE: Final = 500
"""Customers read between two turns of the event loop: some 5 ms."""

SOLE: Final[Mapping[int, tuple[Share, ...]]] = {}
"""The shares of customers whom nobody shares."""


class CustomerStore:
    """Holds customers, and the shares of those whom several look after."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def replace(self, customers: Collection[Customer]) -> None:
        tokens = [{"token": customer.customer_id} for customer in customers]
        shares = [values for customer in customers for values in _share_values(customer)]
        async with self._store.transaction() as tx:
            await tx.execute(_DELETE_CUSTOMER, tokens)
            await tx.execute(_DELETE_SHARES, tokens)
            await tx.execute(_INSERT_CUSTOMER, [_customer_values(one) for one in customers])
            if shares:
                await tx.execute(_INSERT_SHARE, shares)

    async def customer(self, customer_id: int) -> Customer | None:
        found = await self._whole(await self._store.fetch_all(_CUSTOMER, {"token": customer_id}))
        return found[0] if found else None

    async def customers(self, customer_ids: Collection[int]) -> Mapping[int, Customer]:
        found: dict[int, Customer] = {}
        async for rows in self._blocks(_CUSTOMERS, customer_ids):
            found.update((one.customer_id, one) for one in await self._whole(rows))
        return found

    async def owners(self, customer_ids: Collection[int]) -> Mapping[int, Owner]:
        found: dict[int, Owner] = {}
        async for rows in self._blocks(_OWNERS, customer_ids):
            shares = await self._shares(rows)
            found.update((row.customer_id, _to_owner(row, shares)) for row in rows)
        return found

    async def select(self, selection: Selection) -> Sequence[Customer]:
        page = await self._whole(await self._store.fetch_all(selecting(selection)))
        if not await self._assists(selection.reach):
            return page
        assisted = await self._whole(await self._store.fetch_all(assisting(selection)))
        order = selection.order
        both = heapq.merge(page, assisted, key=order.cursor, reverse=order.descending)
        return list(islice(both, selection.limit))

    async def statistics(self) -> Statistics:
        (row,) = await self._store.fetch_all(_COUNTS)
        return Statistics(customers=row.customers, follow_ups=row.follow_ups)

    async def _blocks(
        self, statement: sa.Select[Any], customer_ids: Collection[int]
    ) -> AsyncIterator[Sequence[Row]]:
        """What a statement finds for many customers, a block in each turn of the event loop."""
        tokens = list(customer_ids)
        for start in range(0, len(tokens), AT_ONCE):
            if start:
                await asyncio.sleep(0)
            yield await self._store.fetch_all(
                statement, {"tokens": tokens[start : start + AT_ONCE]}
            )

    async def _assists(self, reach: Reach) -> bool:
        """Whether the book holds customers of others, which most books do not."""
        if reach.extent is not Extent.OWNED:
            return False
        return bool(await self._store.fetch_all(_ASSISTED, {"staff": reach.of}))

    async def _whole(self, rows: Sequence[Row]) -> Sequence[Customer]:
        shares = await self._shares(rows)
        return [_to_customer(row, shares) for row in rows]

    async def _shares(self, rows: Iterable[Row]) -> Mapping[int, tuple[Share, ...]]:
        """The shares of those among the customers who are shared: few, or none."""
        shared = [row.customer_id for row in rows if row.is_shared]
        if not shared:
            return SOLE
        found: defaultdict[int, tuple[Share, ...]] = defaultdict(tuple)
        for row in await self._store.fetch_all(_SHARES, {"tokens": shared}):
            found[row.customer_id] += (_to_share(row),)
        return found


def _customer_values(customer: Customer) -> dict[str, Any]:
    return {
        "customer_id": customer.customer_id,
        "tier": customer.tier,
        "risk_grade": customer.risk_grade,
        "risk_grade_expire_us": _optional_micros(customer.risk_grade_expiry),
        "owner_id": customer.owner_id,
        "branch_id": customer.branch_id,
        "has_wecom": customer.has_wecom,
        "owner_kind": customer.owner_kind,
        "senior": customer.senior,
        "is_shared": _is_shared(customer),
    }


def _share_values(customer: Customer) -> Iterable[dict[str, int]]:
    """Rows of the shares; none when the owner is alone, which is nearly always."""
    if not _is_shared(customer):
        return
    for position, share in enumerate(customer.shares):
        yield {
            "customer_id": customer.customer_id,
            "position": position,
            "staff_id": share.staff_id,
            "share_bp": share.share_bp,
            "branch_id": share.branch_id,
        }


def _is_shared(customer: Customer) -> bool:
    return len(customer.shares) > 1


def _to_customer(row: Row, shares: Mapping[int, tuple[Share, ...]]) -> Customer:
    return Customer(
        customer_id=row.customer_id,
        tier=row.tier,
        risk_grade=row.risk_grade,
        risk_grade_expiry=_optional_moment(row.risk_grade_expire_us),
        owner_id=row.owner_id,
        branch_id=row.branch_id,
        has_wecom=row.has_wecom,
        owner_kind=row.owner_kind,
        senior=row.senior,
        shares=_shares_of(row, shares),
    )


def _to_owner(row: Row, shares: Mapping[int, tuple[Share, ...]]) -> Owner:
    return Owner(
        customer_id=row.customer_id,
        kind=row.owner_kind,
        owner_id=row.owner_id,
        branch_id=row.branch_id,
        shares=_shares_of(row, shares),
    )


def _shares_of(row: Row, shares: Mapping[int, tuple[Share, ...]]) -> tuple[Share, ...]:
    return shares.get(row.customer_id) or undivided(row.owner_id, row.branch_id)


def _to_share(row: Row) -> Share:
    return Share(staff_id=row.staff_id, share_bp=row.share_bp, branch_id=row.branch_id)


def _optional_micros(time: datetime | None) -> int | None:
    return None if time is None else to_micros(time)


def _optional_moment(since_1970_us: int | None) -> datetime | None:
    return None if since_1970_us is None else from_micros(since_1970_us)
