"""The learning centre's database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from centers.learning.domain import Qualification
from centers.learning.errors import LearningReason
from centers.learning.service import Answer, Make, Respond
from centers.learning.tables import qualification as table
from centers.learning.wire import changed
from mesh.clock import from_micros, to_micros
from mesh.errors import MeshError
from mesh.storage import Row, Store, Transaction

_ADD = sa.insert(table)
_END = (
    sa.update(table)
    .where(table.c.qualification_id == sa.bindparam("id"))
    .values(
        renew_us=sa.bindparam("renewed"),
        revoke_us=sa.bindparam("revoked"),
        revoke_reason=sa.bindparam("reason"),
    )
)
_NOT_EXPIRED = sa.select(table).where(
    table.c.staff_id == sa.bindparam("staff"),
    table.c.code == sa.bindparam("of_code"),
    table.c.expire_us > sa.bindparam("now"),
)
_OPEN = _NOT_EXPIRED.where(table.c.revoke_us.is_(None), table.c.renew_us.is_(None))
_HELD = _NOT_EXPIRED.where(
    table.c.issue_us <= sa.bindparam("now"),
    sa.func.coalesce(table.c.revoke_us, table.c.expire_us) > sa.bindparam("now"),
    sa.func.coalesce(table.c.renew_us, table.c.expire_us) > sa.bindparam("now"),
)
_LAST_CHANGE = sa.select(
    sa.func.max(table.c.issue_us).label("issued"),
    sa.func.max(table.c.revoke_us).label("revoked"),
    sa.func.max(table.c.renew_us).label("renewed"),
).where(table.c.staff_id == sa.bindparam("staff"), table.c.code == sa.bindparam("of_code"))
_NEWEST = (
    sa.select(table)
    .where(table.c.staff_id == sa.bindparam("staff"))
    .order_by(table.c.issue_us.desc(), table.c.qualification_id.desc())
    .limit(sa.bindparam("count"))
)


class QualificationStore:
    """Holds terms: at most one of a member of staff and code has no end but its expiry."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def issue(self, staff_id: int, code: str, make: Make, respond: Respond[Answer]) -> Answer:
        async with self._store.transaction() as tx:
            term = make(await _last_change(tx, staff_id, code))
            now = term.issue_time
            for row in await tx.fetch_all(_OPEN, _which(staff_id, code, now)):
                await _end(tx, _to_qualification(row).renewed(now), now)
            await tx.execute(_ADD, _values(term))
            tx.publish(changed(term, now))
            answer = respond(term, now)
            tx.answer(answer)
        return answer

    async def revoke(
        self, staff_id: int, code: str, now: datetime, reason: str, respond: Respond[Answer]
    ) -> Answer:
        async with self._store.transaction() as tx:
            rows = await tx.fetch_all(_OPEN, _which(staff_id, code, now))
            if not rows:
                raise MeshError(LearningReason.NOT_QUALIFIED)
            revoked = _to_qualification(rows[0]).revoked(now, reason)
            await _end(tx, revoked, now)
            answer = respond(revoked, now)
            tx.answer(answer)
        return answer

    async def newest(self, staff_id: int, limit: int) -> Sequence[Qualification]:
        rows = await self._store.fetch_all(_NEWEST, {"staff": staff_id, "count": limit})
        return [_to_qualification(row) for row in rows]

    async def held(self, staff_id: int, code: str, now: datetime) -> Qualification | None:
        rows = await self._store.fetch_all(_HELD, _which(staff_id, code, now))
        return _to_qualification(rows[0]) if rows else None


async def _last_change(tx: Transaction, staff_id: int, code: str) -> datetime | None:
    (row,) = await tx.fetch_all(_LAST_CHANGE, {"staff": staff_id, "of_code": code})
    return _optional_moment(max((each for each in row if each is not None), default=None))


async def _end(tx: Transaction, ended: Qualification, now: datetime) -> None:
    ends = {
        "id": ended.qualification_id,
        "renewed": _optional_micros(ended.renew_time),
        "revoked": _optional_micros(ended.revoke_time),
        "reason": ended.revoke_reason,
    }
    await tx.execute(_END, ends)
    tx.publish(changed(ended, now))


def _which(staff_id: int, code: str, now: datetime) -> dict[str, Any]:
    return {"staff": staff_id, "of_code": code, "now": to_micros(now)}


def _values(term: Qualification) -> dict[str, Any]:
    return {
        "qualification_id": term.qualification_id,
        "staff_id": term.staff_id,
        "code": term.code,
        "issue_us": to_micros(term.issue_time),
        "expire_us": to_micros(term.expire_time),
        "revoke_us": _optional_micros(term.revoke_time),
        "revoke_reason": term.revoke_reason,
        "renew_us": _optional_micros(term.renew_time),
        "issuer": term.issuer,
        "source": term.source,
    }


def _to_qualification(row: Row) -> Qualification:
    return Qualification(
        qualification_id=row.qualification_id,
        staff_id=row.staff_id,
        code=row.code,
        issue_time=from_micros(row.issue_us),
        expire_time=from_micros(row.expire_us),
        issuer=row.issuer,
        source=row.source,
        revoke_time=_optional_moment(row.revoke_us),
        revoke_reason=row.revoke_reason,
        renew_time=_optional_moment(row.renew_us),
    )


def _optional_micros(time: datetime | None) -> int | None:
    return None if time is None else to_micros(time)


def _optional_moment(since_1970_us: int | None) -> datetime | None:
    return None if since_1970_us is None else from_micros(since_1970_us)
