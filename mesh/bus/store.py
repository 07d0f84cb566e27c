"""The bus's database: the log, the groups, the dead letters."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from mesh.bus.domain import (
    Burial,
    DeadLetter,
    GroupKey,
    GroupState,
    Logged,
    Settlement,
    fitting,
)
from mesh.bus.tables import dead_letter, event, group
from mesh.clock import from_micros, to_micros
from mesh.storage import Row, Statement, Store, Transaction

_APPEND: Final = sa.insert(event)
_LAST: Final = sa.select(sa.func.max(event.c.position).label("position"))
_PLACES: Final = (
    sa.select(event.c.position, sa.func.length(event.c.event).label("size"))
    .where(event.c.position > sa.bindparam("after"))
    .order_by(event.c.position)
    .limit(sa.bindparam("most"))
)
_EVENTS: Final = (
    sa.select(event.c.position, event.c.event)
    .where(event.c.position.between(sa.bindparam("first"), sa.bindparam("last")))
    .order_by(event.c.position)
)
_NEWEST: Final = (
    sa.select(event.c.position, sa.func.length(event.c.event).label("size"))
    .order_by(event.c.position.desc())
    .limit(sa.bindparam("most"))
)
_OF_TOPIC: Final = event.c.topic == sa.bindparam("topic")
_OLDEST: Final = (
    sa.select(event.c.position, event.c.topic, event.c.append_us)
    .where(event.c.position > sa.bindparam("after"))
    .order_by(event.c.position)
    .limit(sa.bindparam("most"))
)
_FORGET: Final = sa.delete(event).where(event.c.position == sa.bindparam("place"))

_THIS_GROUP: Final = (
    group.c.name == sa.bindparam("group_key"),
    group.c.topic == sa.bindparam("topic_key"),
)
_POSITION: Final = sa.select(group.c.position).where(*_THIS_GROUP)
_ADVANCE: Final = (
    sa.update(group)
    .where(*_THIS_GROUP, group.c.position < sa.bindparam("reached"))
    .values(position=sa.bindparam("reached"))
)
_ADD_GROUP: Final = sa.insert(group)
_SLOWEST: Final = sa.select(
    group.c.topic, sa.func.min(group.c.position).label("position")
).group_by(group.c.topic)
_GROUPS: Final = sa.select(
    group,
    sa.select(sa.func.count())
    .select_from(event)
    .where(event.c.topic == group.c.topic, event.c.position > group.c.position)
    .scalar_subquery()
    .label("lag"),
    sa.select(sa.func.count())
    .select_from(dead_letter)
    .where(dead_letter.c.group_name == group.c.name, dead_letter.c.topic == group.c.topic)
    .scalar_subquery()
    .label("dead"),
).order_by(group.c.name, group.c.topic)

_OF_GROUP: Final = (
    dead_letter.c.group_name == sa.bindparam("group_key"),
    dead_letter.c.topic == sa.bindparam("topic_key"),
)
_REPLAYING: Final = (
    sa.select(dead_letter.c.dead_letter_id, dead_letter.c.position, dead_letter.c.event)
    .where(*_OF_GROUP, dead_letter.c.replaying)
    .order_by(dead_letter.c.dead_letter_id)
    .limit(sa.bindparam("most"))
)
_BURY: Final = sa.insert(dead_letter)
_BURY_AGAIN: Final = (
    sa.update(dead_letter)
    .where(*_OF_GROUP, dead_letter.c.position == sa.bindparam("place"))
    .values(
        attempts=dead_letter.c.attempts + sa.bindparam("more"),
        error=sa.bindparam("kind"),
        bury_us=sa.bindparam("now"),
        replaying=sa.false(),
    )
)
_CONSUMED: Final = sa.delete(dead_letter).where(
    *_OF_GROUP, dead_letter.c.dead_letter_id == sa.bindparam("number")
)
_AT: Final = sa.select(event.c.event).where(event.c.position == sa.bindparam("place"), _OF_TOPIC)


class EventStore:
    """Holds the log."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def append(self, events: Sequence[tuple[str, bytes]], now: datetime) -> int:
        append_us = to_micros(now)
        rows = [{"topic": topic, "event": raw, "append_us": append_us} for topic, raw in events]
        async with self._store.transaction() as tx:
            await tx.execute(_APPEND, rows)
            (last,) = await tx.fetch_all(_LAST)
        position: int = last.position
        return position

    async def after(self, topic: str, position: int, most: int) -> Sequence[Logged]:
        return await self._read(_PLACES, topic, {"after": position, "most": most})

    async def newest(self, topic: str, most: int) -> Sequence[Logged]:
        return await self._read(_NEWEST, topic, {"most": most})

    async def oldest(self, after: int, before: datetime, most: int) -> Sequence[tuple[int, str]]:
        rows = await self._store.fetch_all(_OLDEST, {"after": after, "most": most})
        moment = to_micros(before)
        return [(row.position, row.topic) for row in rows if row.append_us < moment]

    async def forget(self, positions: Collection[int]) -> int:
        async with self._store.transaction() as tx:
            return await tx.execute(_FORGET, [{"place": place} for place in positions])

    async def _read(
        self, places: sa.Select[Any], topic: str, given: Mapping[str, Any]
    ) -> Sequence[Logged]:
        """The events at the places that a statement answers, as many as one answer holds."""
        of_topic = {"topic": topic} if topic else {}
        found = await self._store.fetch_all(_within(places, topic), {**given, **of_topic})
        fit = sorted(row.position for row in found[: fitting([row.size for row in found])])
        if not fit:
            return ()
        ends = {"first": fit[0], "last": fit[-1], **of_topic}
        rows = await self._store.fetch_all(_within(_EVENTS, topic), ends)
        return [Logged(position=row.position, event=row.event) for row in rows]


class GroupStore:
    """Holds how far each group is."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def position(self, key: GroupKey) -> int | None:
        rows = await self._store.fetch_all(_POSITION, _key(key))
        return rows[0].position if rows else None

    async def settle(self, key: GroupKey, settlement: Settlement, now: datetime) -> None:
        async with self._store.transaction() as tx:
            await self._reach(tx, key, settlement.position)
            for burial in settlement.buried:
                await _bury(tx, key, burial, to_micros(now))
            consumed = [{**_key(key), "number": number} for number in settlement.replayed]
            await tx.execute(_CONSUMED, consumed)

    async def all(self) -> Sequence[GroupState]:
        # Counting goes through all that waits: not on the event loop.
        blocks = [block async for block in self._store.scan(_GROUPS)]
        return [_to_state(row) for block in blocks for row in block]

    async def slowest(self) -> Mapping[str, int]:
        return {row.topic: row.position for row in await self._store.fetch_all(_SLOWEST)}

    async def _reach(self, tx: Transaction, key: GroupKey, position: int) -> None:
        if not await tx.fetch_all(_POSITION, _key(key)):
            added = {"name": key.group, "topic": key.topic, "position": position}
            await tx.execute(_ADD_GROUP, added)
        elif position:
            await tx.execute(_ADVANCE, {**_key(key), "reached": position})


class DeadLetterStore:
    """Holds what groups could not consume."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def replaying(self, key: GroupKey, most: int) -> Sequence[Logged]:
        rows = await self._store.fetch_all(_REPLAYING, {**_key(key), "most": most})
        return [_to_logged(row) for row in rows[: fitting([len(row.event) for row in rows])]]

    async def page(self, group: str, after: int, most: int) -> Sequence[DeadLetter]:
        statement = sa.select(dead_letter).where(dead_letter.c.dead_letter_id > after)
        if group:
            statement = statement.where(dead_letter.c.group_name == group)
        rows = await self._store.fetch_all(
            statement.order_by(dead_letter.c.dead_letter_id).limit(most)
        )
        return [_to_letter(row) for row in rows]

    async def replay(self, ids: Collection[int], group: str) -> Sequence[str]:
        of_group = [dead_letter.c.group_name == group] if group else []
        wanted = [dead_letter.c.dead_letter_id.in_(ids), *of_group] if ids else of_group
        async with self._store.transaction() as tx:
            rows = await tx.fetch_all(sa.select(dead_letter.c.topic).where(*wanted))
            await tx.execute(sa.update(dead_letter).values(replaying=sa.true()).where(*wanted))
        return [row.topic for row in rows]


async def _bury(tx: Transaction, key: GroupKey, burial: Burial, now: int) -> None:
    again = {
        **_key(key),
        "place": burial.position,
        "more": burial.attempts if burial.dead_letter_id else 0,
        "kind": burial.error,
        "now": now,
    }
    if await tx.execute(_BURY_AGAIN, again):
        return
    for found in await tx.fetch_all(_AT, {"place": burial.position, "topic": key.topic}):
        letter = {
            "group_name": key.group,
            "topic": key.topic,
            "position": burial.position,
            "event": found.event,
            "attempts": burial.attempts,
            "error": burial.error,
            "bury_us": now,
            "replaying": False,
        }
        await tx.execute(_BURY, letter)


def _within(statement: sa.Select[Any], topic: str) -> Statement:
    return _NARROWED[statement] if topic else statement


_NARROWED: Final = {each: each.where(_OF_TOPIC) for each in (_PLACES, _EVENTS, _NEWEST)}


def _key(key: GroupKey) -> dict[str, Any]:
    return {"group_key": key.group, "topic_key": key.topic}


def _to_logged(row: Row) -> Logged:
    return Logged(position=row.position, event=row.event, dead_letter_id=row.dead_letter_id)


def _to_state(row: Row) -> GroupState:
    key = GroupKey(group=row.name, topic=row.topic)
    return GroupState(key=key, position=row.position, lag=row.lag, dead=row.dead)


def _to_letter(row: Row) -> DeadLetter:
    return DeadLetter(
        key=GroupKey(group=row.group_name, topic=row.topic),
        logged=_to_logged(row),
        attempts=row.attempts,
        error=row.error,
        time=from_micros(row.bury_us),
        replaying=row.replaying,
    )
