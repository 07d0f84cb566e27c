"""The customer centre's database: follow-ups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from centers.customer.domain import Cursor, FollowUp
from centers.customer.errors import CustomerReason
from centers.customer.follow_ups import Answer
from centers.customer.tables import follow_up as follow_up_table
from mesh.clock import from_micros, to_micros
from mesh.errors import MeshError
from mesh.storage import Row, Store

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
