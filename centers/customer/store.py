"""The customer centre's database: customers by token, and follow-ups."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from centers.customer.domain import Cursor, Customer, Extent, FollowUp, Reach, Statistics
from centers.customer.errors import CustomerReason
from centers.customer.follow_ups import Answer
from centers.customer.service import Selection
from centers.customer.tables import customer as customer_table
from centers.customer.tables import follow_up as follow_up_table
from mesh.clock import from_micros, to_micros
from mesh.errors import MeshError
from mesh.storage import Row, Store

_COMPARE: Final[Mapping[str, Callable[[Any, Any], sa.ColumnElement[bool]]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

_DELETE_CUSTOMER = sa.delete(customer_table).where(
    customer_table.c.customer_id == sa.bindparam("token")
)
_INSERT_CUSTOMER = sa.insert(customer_table)
_CUSTOMER = sa.select(customer_table).where(customer_table.c.customer_id == sa.bindparam("token"))
_COUNTS = sa.select(
    sa.select(sa.func.count()).select_from(customer_table).scalar_subquery().label("customers"),
    sa.select(sa.func.count()).select_from(follow_up_table).scalar_subquery().label("follow_ups"),
)
_INSERT_FOLLOW_UP = sa.insert(follow_up_table)
_FOLLOW_UP = sa.select(follow_up_table).where(
    follow_up_table.c.follow_up_id == sa.bindparam("id"),
    follow_up_table.c.customer_id == sa.bindparam("token"),
)
_REPLACE_FOLLOW_UP = sa.update(follow_up_table).where(
    follow_up_table.c.follow_up_id == sa.bindparam("id"),
    follow_up_table.c.version == sa.bindparam("before"),
)
_NEWEST = (
    sa.select(follow_up_table)
    .where(follow_up_table.c.customer_id == sa.bindparam("token"))
    .order_by(follow_up_table.c.create_us.desc(), follow_up_table.c.follow_up_id.desc())
    .limit(sa.bindparam("count"))
)
_NEWEST_AFTER = _NEWEST.where(
    sa.tuple_(follow_up_table.c.create_us, follow_up_table.c.follow_up_id)
    < sa.tuple_(sa.bindparam("after_us"), sa.bindparam("after_id"))
)


class CustomerStore:
    """Holds customers."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def replace(self, customers: Collection[Customer]) -> None:
        rows = [_customer_values(customer) for customer in customers]
        async with self._store.transaction() as tx:
            await tx.execute(_DELETE_CUSTOMER, [{"token": row["customer_id"]} for row in rows])
            await tx.execute(_INSERT_CUSTOMER, rows)

    async def customer(self, customer_id: int) -> Customer | None:
        rows = await self._store.fetch_all(_CUSTOMER, {"token": customer_id})
        return _to_customer(rows[0]) if rows else None

    async def select(self, selection: Selection) -> Sequence[Customer]:
        return [_to_customer(row) for row in await self._store.fetch_all(selecting(selection))]

    async def statistics(self) -> Statistics:
        (row,) = await self._store.fetch_all(_COUNTS)
        return Statistics(customers=row.customers, follow_ups=row.follow_ups)


class FollowUpStore:
    """Holds follow-ups."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, follow_up: FollowUp, respond: Callable[[FollowUp], Answer]) -> Answer:
        async with self._store.transaction() as tx:
            await tx.execute(_INSERT_FOLLOW_UP, _follow_up_values(follow_up))
            answer = respond(follow_up)
            tx.answer(answer)
        return answer

    async def change(
        self,
        customer_id: int,
        follow_up_id: int,
        apply: Callable[[FollowUp], FollowUp],
        respond: Callable[[FollowUp], Answer],
    ) -> Answer:
        async with self._store.transaction() as tx:
            rows = await tx.fetch_all(_FOLLOW_UP, {"id": follow_up_id, "token": customer_id})
            if not rows:
                raise MeshError(CustomerReason.FOLLOW_UP_NOT_FOUND)
            present = _to_follow_up(rows[0])
            changed = apply(present)
            place = {"id": follow_up_id, "before": present.version}
            if not await tx.execute(_REPLACE_FOLLOW_UP, _follow_up_values(changed) | place):
                raise MeshError(CustomerReason.ETAG_MISMATCH)
            answer = respond(changed)
            tx.answer(answer)
        return answer

    async def follow_up(self, customer_id: int, follow_up_id: int) -> FollowUp | None:
        rows = await self._store.fetch_all(_FOLLOW_UP, {"id": follow_up_id, "token": customer_id})
        return _to_follow_up(rows[0]) if rows else None

    async def newest(
        self, customer_id: int, *, after: Cursor | None, limit: int
    ) -> Sequence[FollowUp]:
        parameters = {"token": customer_id, "count": limit}
        if after is None:
            rows = await self._store.fetch_all(_NEWEST, parameters)
        else:
            place = {"after_us": after[0], "after_id": after[1]}
            rows = await self._store.fetch_all(_NEWEST_AFTER, parameters | place)
        return [_to_follow_up(row) for row in rows]


def selecting(selection: Selection) -> sa.Select[Any]:
    """The statement for a selection; every page of it is read along an index."""
    columns = customer_table.c
    statement = sa.select(customer_table).where(_within(selection.reach)).limit(selection.limit)
    for condition in selection.conditions:
        compare = _COMPARE[condition.operator]
        statement = statement.where(compare(columns[condition.field], condition.value))
    keys = [columns[field] for field in selection.order.fields]
    if selection.after is not None:
        beyond = operator.lt if selection.order.descending else operator.gt
        statement = statement.where(beyond(sa.tuple_(*keys), sa.tuple_(*selection.after)))
    return statement.order_by(*(k.desc() if selection.order.descending else k for k in keys))


def _within(reach: Reach) -> sa.ColumnElement[bool]:
    match reach.extent:
        case Extent.ALL:
            return sa.true()
        case Extent.BRANCH:
            return customer_table.c.branch_id == reach.of
        case Extent.OWNED:
            return customer_table.c.owner_id == reach.of
        case Extent.NONE:
            return sa.false()


def _customer_values(customer: Customer) -> dict[str, Any]:
    return {
        "customer_id": customer.customer_id,
        "tier": customer.tier,
        "risk_grade": customer.risk_grade,
        "risk_grade_expire_us": _optional_micros(customer.risk_grade_expiry),
        "owner_id": customer.owner_id,
        "branch_id": customer.branch_id,
        "has_wecom": customer.has_wecom,
    }


def _to_customer(row: Row) -> Customer:
    return Customer(
        customer_id=row.customer_id,
        tier=row.tier,
        risk_grade=row.risk_grade,
        risk_grade_expiry=_optional_moment(row.risk_grade_expire_us),
        owner_id=row.owner_id,
        branch_id=row.branch_id,
        has_wecom=row.has_wecom,
    )


def _follow_up_values(follow_up: FollowUp) -> dict[str, Any]:
    return {
        "follow_up_id": follow_up.follow_up_id,
        "customer_id": follow_up.customer_id,
        "summary": follow_up.summary,
        "next_step": follow_up.next_step,
        "next_us": _optional_micros(follow_up.next_time),
        "author": follow_up.author,
        "create_us": to_micros(follow_up.create_time),
        "update_us": to_micros(follow_up.update_time),
        "version": follow_up.version,
    }


def _to_follow_up(row: Row) -> FollowUp:
    return FollowUp(
        follow_up_id=row.follow_up_id,
        customer_id=row.customer_id,
        summary=row.summary,
        next_step=row.next_step,
        next_time=_optional_moment(row.next_us),
        author=row.author,
        create_time=from_micros(row.create_us),
        update_time=from_micros(row.update_us),
        version=row.version,
    )


def _optional_micros(time: datetime | None) -> int | None:
    return None if time is None else to_micros(time)


def _optional_moment(since_1970_us: int | None) -> datetime | None:
    return None if since_1970_us is None else from_micros(since_1970_us)
