"""The logs of sequences in the service's database.

To append is one INSERT, and the whole of an allocation. It takes its rows from the
entry that they follow: without that, as after a store was put back to an older
copy, there are none. Who was first with a number has it; everybody else's INSERT
meets the primary key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cache
from itertools import takewhile
from typing import Any

import sqlalchemy as sa

from mesh.clock import from_micros, to_micros
from mesh.storage import IntegrityViolation, Store
from sequencer.entry import Action, Entry, Tip
from sequencer.log import BACK, COUNTED, EntryFilter, Superseded, Usage
from sequencer.store._tables import as_entry, as_tip, entries, entry_values

PURGE_BLOCK = 1_000

NONE = 0
"""The number of no entry."""

WARM = 64
"""Appends of so many entries and fewer are compiled beforehand."""

_OF = entries.c.sequence == sa.bindparam("of")
_TIP = sa.select(entries).where(_OF).order_by(entries.c.number.desc()).limit(1)
_FROM = (
    sa.select(entries)
    .where(_OF, entries.c.number >= sa.bindparam("at"))
    .order_by(entries.c.number)
    .limit(1)
)
_CUT_FROM = (
    sa.select(entries)
    .where(
        _OF,
        entries.c.source == sa.bindparam("at"),
        entries.c.action.in_(sorted(action.value for action in BACK)),
    )
    .limit(1)
)
_back = entries.alias("back")
_BARRIER = (
    sa.select(entries)
    .where(
        _OF,
        entries.c.position <= sa.bindparam("at"),
        entries.c.action == Action.GRANTED.value,
        entries.c.source == 0,
        ~sa.exists().where(
            _back.c.sequence == entries.c.sequence,
            _back.c.source == entries.c.number,
            _back.c.action == Action.RETURNED.value,
            _back.c.position == entries.c.position,
        ),
    )
    .order_by(entries.c.position.desc())
    .limit(1)
)
"""The newest range of new ids that did not come back whole, from a position downwards.

What came back may be granted again together with its neighbours, but never over the
first id of this range. So nothing that begins before it holds the position.
"""
_AROUND = (
    sa.select(entries)
    .where(
        _OF,
        entries.c.position >= sa.bindparam("first"),
        entries.c.position <= sa.bindparam("at"),
        entries.c.position + entries.c.size > sa.bindparam("at"),
        entries.c.number < sa.bindparam("before"),
    )
    .order_by(entries.c.number.desc())
    .limit(sa.bindparam("most"))
)
_SUM_GRANTED = sa.func.sum(
    sa.case((entries.c.action == Action.GRANTED.value, entries.c.size), else_=0)
)
_SUM_RETURNED = sa.func.sum(
    sa.case((entries.c.action == Action.RETURNED.value, entries.c.size), else_=0)
)
_LEASES = sa.func.sum(sa.case((entries.c.action == Action.GRANTED.value, 1), else_=0))
_USAGE = (
    sa.select(
        entries.c.caller,
        _LEASES.label("leases"),
        _SUM_GRANTED.label("granted"),
        _SUM_RETURNED.label("returned"),
    )
    .where(
        _OF,
        entries.c.time_us >= sa.bindparam("since"),
        entries.c.time_us < sa.bindparam("until"),
        entries.c.size > 0,
        entries.c.action.in_(sorted(action.value for action in COUNTED)),
    )
    .group_by(entries.c.caller)
)
_OLDEST = (
    sa.select(entries.c.number, entries.c.time_us)
    .where(_OF, entries.c.number < sa.bindparam("before"))
    .order_by(entries.c.number)
    .limit(PURGE_BLOCK)
)
_PURGE = sa.delete(entries).where(_OF, entries.c.number <= sa.bindparam("last"))


class SqlLog:
    """A `SequenceLog` in a service's database."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def tip(self, uid: int) -> Tip | None:
        rows = await self._store.fetch_all(_TIP, {"of": uid})
        return as_tip(rows[0]) if rows else None

    async def append(self, uid: int, after: Tip, new: Sequence[Entry]) -> None:
        statement, values = appending(uid, after, new)
        try:
            hit = await self._store.execute(statement, values)
        except IntegrityViolation:
            raise Superseded from None
        if not hit:
            raise Superseded

    async def warm(self) -> None:
        """Compile what appends run, and connect, before somebody waits for it."""
        nothing = Tip(number=NONE, mark=0, epoch=0, position=0)
        entry = Entry(
            tip=nothing, action=Action.CHANGED, position=0, size=0, holder="", time=from_micros(0)
        )
        for doublings in range(WARM.bit_length()):
            with suppress(Superseded):
                await self.append(0, nothing, [entry] * (1 << doublings))

    async def entry(self, uid: int, number: int) -> Entry | None:
        rows = await self._store.fetch_all(_FROM, {"of": uid, "at": number})
        return as_entry(rows[0]) if rows else None

    async def returned(self, uid: int, number: int) -> Entry | None:
        rows = await self._store.fetch_all(_CUT_FROM, {"of": uid, "at": number})
        return as_entry(rows[0]) if rows else None

    async def entries(
        self, uid: int, *, before: int, limit: int, only: EntryFilter
    ) -> Sequence[Entry]:
        statement = _filtered(only)
        rows = await self._store.fetch_all(statement, {"of": uid, "before": before, "most": limit})
        return [as_entry(row) for row in rows]

    async def holding(self, uid: int, position: int, *, before: int, limit: int) -> Sequence[Entry]:
        found = await self._store.fetch_all(_BARRIER, {"of": uid, "at": position})
        first = found[0].position if found else 0
        parameters = {"of": uid, "at": position, "first": first, "before": before, "most": limit}
        return [as_entry(row) for row in await self._store.fetch_all(_AROUND, parameters)]

    async def usage(self, uid: int, since: datetime, until: datetime) -> Mapping[str, Usage]:
        parameters = {"of": uid, "since": to_micros(since), "until": to_micros(until)}
        rows = await self._store.fetch_all(_USAGE, parameters)
        return {
            row.caller: Usage(
                leases=int(row.leases), granted=int(row.granted), returned=int(row.returned)
            )
            for row in rows
        }

    async def purge(self, uid: int, before: datetime, tip: int) -> int:
        old = to_micros(before)
        rows = await self._store.fetch_all(_OLDEST, {"of": uid, "before": tip})
        # No gap may come of it: an append behind an entry relies on the next one being there.
        gone = [row.number for row in takewhile(lambda row: row.time_us < old, rows)]
        return await self._store.execute(_PURGE, {"of": uid, "last": gone[-1]}) if gone else 0


def appending(uid: int, after: Tip, new: Sequence[Entry]) -> tuple[sa.Insert, dict[str, Any]]:
    """The INSERT that appends entries, and its parameters; it hits none when `after` is gone."""
    size = 1 << (len(new) - 1).bit_length()
    rows = [{"after": after.number, **entry_values(entry)} for entry in new]
    rows += [{**rows[-1], "after": NONE}] * (size - len(new))
    values: dict[str, Any] = {"sequence": uid, "after_mark": after.mark}
    for place, row in enumerate(rows):
        values.update({f"{key}_{place}": one for key, one in row.items()})
    return _append(size), values


@cache
def _append(rows: int) -> sa.Insert:
    """The INSERT of at most so many entries, each behind one that must be there.

    To compile it takes a time that callers would notice. So there are few of them, each for
    twice as many rows as the one before; a row behind `NONE` is none. For the same reason
    it is text.
    """
    columns = [column.name for column in entries.c if column.name != "sequence"]
    behind = "FROM entry WHERE sequence = :sequence AND mark = :after_mark AND number = :after"
    arms = [
        f"SELECT :sequence, {', '.join(f':{name}_{place}' for name in columns)} {behind}_{place}"
        for place in range(rows)
    ]
    return sa.insert(entries).from_select(
        ["sequence", *columns], sa.text(" UNION ALL ".join(arms)).columns(), include_defaults=False
    )


def _filtered(only: EntryFilter) -> sa.Select[Any]:
    statement = sa.select(entries).where(_OF, entries.c.number < sa.bindparam("before"))
    if only.caller:
        statement = statement.where(entries.c.caller == only.caller)
    if only.since is not None:
        statement = statement.where(entries.c.time_us >= to_micros(only.since))
    if only.until is not None:
        statement = statement.where(entries.c.time_us < to_micros(only.until))
    if only.actions:
        actions = [action.value for action in only.actions]
        statement = statement.where(entries.c.action.in_(actions))
    return statement.order_by(entries.c.number.desc()).limit(sa.bindparam("most"))
