"""Looks at sequences whose logs are in the service's database: a round trip each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

import sqlalchemy as sa

from mesh.storage import Row, Store
from sequencer.definition import Definition, Kind, State
from sequencer.directory import Admit, identity
from sequencer.look import Look, Looks
from sequencer.store._floors import HOME
from sequencer.store._tables import as_definition, as_tip, definitions, entries, floors, names

# Whose tip it is must be known beforehand, so that an index alone finds it. For a name it
# is a guess: the identity of a sequence made under it. One that was renamed has another.
_NEWEST: Final = (
    sa.select(entries)
    .where(entries.c.sequence == sa.bindparam("guess"))
    .order_by(entries.c.number.desc())
    .limit(1)
    .subquery("newest")
)
_TIP: Final = ("number", "mark", "epoch", "next_position", "fence", "tails")
_LOOK: Final = sa.select(
    definitions,
    *(_NEWEST.c[name] for name in _TIP),
    floors.c.lineage,
).select_from(
    definitions.join(_NEWEST, _NEWEST.c.sequence == definitions.c.uid).outerjoin(
        floors, floors.c.sequence == definitions.c.uid
    )
)
_CALLED: Final = sa.select(names.c.uid).where(names.c.name == sa.bindparam("called"))
_NAMED: Final = _LOOK.where(definitions.c.uid == _CALLED.scalar_subquery())
_AGAIN: Final = _LOOK.where(definitions.c.uid == sa.bindparam("guess"))

# Periods of serials come after all other sequences: there is one more each day.
_MOST: Final = (
    sa.select(definitions)
    .where(
        definitions.c.state == State.ACTIVE.value,
        sa.or_(*(definitions.c.kind == kind.value for kind in (Kind.SEGMENT, Kind.STRICT))),
    )
    .order_by(definitions.c.parent != 0, definitions.c.create_us.desc())
    .limit(sa.bindparam("most"))
    .subquery("most")
)
_EARLIER: Final = entries.alias("earlier")
_LAST: Final = (
    sa.select(sa.func.max(_EARLIER.c.number))
    .where(_EARLIER.c.sequence == _MOST.c.uid)
    .scalar_subquery()
)
_ALL: Final = (
    sa.select(_MOST, *(entries.c[name] for name in _TIP))
    .select_from(
        _MOST.join(
            entries, sa.and_(entries.c.sequence == _MOST.c.uid, entries.c.number == _LAST)
        ).outerjoin(floors, floors.c.sequence == _MOST.c.uid)
    )
    .where(sa.func.coalesce(floors.c.lineage, HOME) == HOME)
)


class SqlLooks:
    """`Looks` in the service's database.

    Args:
        store: the database.
        otherwise: looks where one statement does not find everything: at sequences that
            were renamed, are to be made, or whose logs went on elsewhere.
    """

    def __init__(self, store: Store, otherwise: Looks) -> None:
        self._store = store
        self._otherwise = otherwise

    async def warm(self) -> None:
        """Compile the statements, and connect, before somebody waits for it."""
        await self._found(_NAMED, {"called": "", "guess": 0})
        await self._found(_AGAIN, {"guess": 0})

    async def named(self, name: str, admit: Admit | None = None) -> Look:
        found = await self._found(_NAMED, {"called": name, "guess": identity(name)})
        return found or await self._otherwise.named(name, admit)

    async def again(self, known: Definition) -> Look:
        return await self._found(_AGAIN, {"guess": known.uid}) or await self._otherwise.again(known)

    async def many(self, most: int) -> AsyncIterator[Sequence[Row]]:
        """Rows of `look` for the sequences that ranges are granted of, so many at most."""
        rows = self._store.scan(_ALL, {"most": most})
        async with aclosing(rows) as blocks:  # type: ignore[type-var]
            async for block in blocks:
                yield block

    async def _found(self, statement: sa.Select[Any], of: Mapping[str, Any]) -> Look | None:
        rows = await self._store.fetch_all(statement, of)
        if not rows or rows[0].lineage not in (None, HOME):
            return None
        return look(rows[0])


def look(row: Row) -> Look:
    """The look that a row is."""
    return Look(as_definition(row), as_tip(row))
