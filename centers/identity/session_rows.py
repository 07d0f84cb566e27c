"""Sessions and their refresh tokens in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from centers.identity.domain import Ended, Presented, Revocation, Session
from centers.identity.tables import COUNTERS, REFRESH_TOKENS, SESSIONS
from mesh.storage import Row, Statement, Store, Transaction

_PRESENTED: Final = (
    sa.select(SESSIONS, REFRESH_TOKENS.c.used)
    .join(REFRESH_TOKENS, REFRESH_TOKENS.c.session_id == SESSIONS.c.session_id)
    .where(REFRESH_TOKENS.c.digest == sa.bindparam("token"))
)
_MARK_USED: Final = (
    sa.update(REFRESH_TOKENS)
    .where(REFRESH_TOKENS.c.digest == sa.bindparam("token"))
    .values(used=True)
)
_RENEW: Final = (
    sa.update(SESSIONS)
    .where(SESSIONS.c.session_id == sa.bindparam("session"))
    .values(access_until=sa.bindparam("until"), forget_at=sa.bindparam("forget"))
)
_IS_OPEN: Final = sa.and_(SESSIONS.c.ended.is_(False), SESSIONS.c.expires > sa.bindparam("now"))
_OPEN: Final = sa.select(SESSIONS.c.session_id, SESSIONS.c.access_until).where(_IS_OPEN)
_OPEN_ONE: Final = _OPEN.where(SESSIONS.c.session_id == sa.bindparam("session"))
_OPEN_OTHERS: Final = _OPEN.where(
    SESSIONS.c.subject == sa.bindparam("who"), SESSIONS.c.session_id != sa.bindparam("keep")
)
_END: Final = (
    sa.update(SESSIONS)
    .where(SESSIONS.c.session_id == sa.bindparam("session"))
    .values(ended=True, forget_at=SESSIONS.c.access_until, end_position=sa.bindparam("place"))
)
_COUNTER: Final = "sessions_ended"
_COUNTED: Final = sa.select(COUNTERS.c.position).where(COUNTERS.c.name == _COUNTER)
_BEGIN_COUNT: Final = sa.insert(COUNTERS).values(name=_COUNTER)
_COUNT: Final = (
    sa.update(COUNTERS).where(COUNTERS.c.name == _COUNTER).values(position=sa.bindparam("place"))
)
_ENDED: Final = sa.select(
    SESSIONS.c.session_id, SESSIONS.c.access_until, SESSIONS.c.end_position
).where(SESSIONS.c.ended.is_(True), SESSIONS.c.forget_at > sa.bindparam("now"))
_ENDED_SINCE: Final = sa.select(
    SESSIONS.c.session_id, SESSIONS.c.access_until, SESSIONS.c.end_position
).where(SESSIONS.c.end_position > sa.bindparam("place"))
_USELESS: Final = (
    sa.select(SESSIONS.c.session_id)
    .where(SESSIONS.c.forget_at <= sa.bindparam("now"))
    .limit(sa.bindparam("limit"))
)
_FORGET: Final = tuple(
    sa.delete(table).where(table.c.session_id == sa.bindparam("session"))
    for table in (REFRESH_TOKENS, SESSIONS)
)


async def ended(store: Store, now: datetime) -> Ended:
    """Sessions that ended and may still have valid tokens."""
    return _ended(await store.fetch_all(_ENDED, {"now": now}), 0)


async def ended_since(store: Store, place: int) -> Ended:
    """Those that ended behind a place, through whichever process."""
    return _ended(await store.fetch_all(_ENDED_SINCE, {"place": place}), place)


class SessionWriter:
    """Implements `records.SessionChanges`; `ended` has the sessions it has ended."""

    def __init__(self, transaction: Transaction, now: datetime) -> None:
        self._transaction = transaction
        self._now = now
        self.ended: list[Revocation] = []

    async def add_session(self, session: Session, refresh_digest: str | None) -> None:
        values = {**asdict(session), "forget_at": _forget_at(session)}
        await self._transaction.execute(sa.insert(SESSIONS), values)
        if refresh_digest is not None:
            await self._add_refresh_token(refresh_digest, session.session_id)

    async def presented(self, refresh_digest: str) -> Presented | None:
        rows = await self._transaction.fetch_all(_PRESENTED, {"token": refresh_digest})
        return Presented(session=_session(rows[0]), used=rows[0].used) if rows else None

    async def renew_session(self, session: Session, *, used: str, fresh: str) -> None:
        values = {
            "session": session.session_id,
            "until": session.access_until,
            "forget": _forget_at(session),
        }
        await self._transaction.execute(_RENEW, values)
        await self._transaction.execute(_MARK_USED, {"token": used})
        await self._add_refresh_token(fresh, session.session_id)

    async def end_session(self, session_id: str) -> int:
        return await self._end(_OPEN_ONE, {"session": session_id})

    async def end_sessions_of(self, subject: str, *, keep: str = "") -> int:
        return await self._end(_OPEN_OTHERS, {"who": subject, "keep": keep})

    async def sweep(self, limit: int) -> None:
        useless = await self._transaction.fetch_all(_USELESS, {"now": self._now, "limit": limit})
        if useless:
            sessions = [{"session": row.session_id} for row in useless]
            for statement in _FORGET:
                await self._transaction.execute(statement, sessions)

    async def _add_refresh_token(self, refresh_digest: str, session_id: str) -> None:
        values = {"digest": refresh_digest, "session_id": session_id, "used": False}
        await self._transaction.execute(sa.insert(REFRESH_TOKENS), values)

    async def _end(self, statement: Statement, selected: Mapping[str, str]) -> int:
        rows = await self._transaction.fetch_all(statement, {**selected, "now": self._now})
        if rows:
            first = await self._count(len(rows))
            places = [
                {"session": row.session_id, "place": first + index}
                for index, row in enumerate(rows)
            ]
            await self._transaction.execute(_END, places)
            self.ended += [_revocation(row, first + index) for index, row in enumerate(rows)]
        return len(rows)

    async def _count(self, more: int) -> int:
        """The first of so many places behind all that were given before."""
        counted = await self._transaction.fetch_all(_COUNTED)
        if not counted:
            await self._transaction.execute(_BEGIN_COUNT, {"position": more})
            return 1
        last: int = counted[0].position
        await self._transaction.execute(_COUNT, {"place": last + more})
        return last + 1


def _forget_at(session: Session) -> datetime:
    return max(session.expires, session.access_until)


def _session(row: Row) -> Session:
    return Session(
        session_id=row.session_id,
        subject=row.subject,
        expires=row.expires,
        access_until=row.access_until,
        ended=row.ended,
    )


def _revocation(row: Row, place: int) -> Revocation:
    return Revocation(session_id=row.session_id, expires=row.access_until, place=place)


def _ended(rows: Sequence[Row], place: int) -> Ended:
    return Ended(
        revocations=[_revocation(row, row.end_position) for row in rows],
        place=max((row.end_position for row in rows), default=place),
    )
