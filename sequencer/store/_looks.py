"""Looks at sequences whose logs are in the service's database: a round trip each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from mesh.storage import Store
from sequencer.definition import Definition
from sequencer.directory import identity
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
_LOOK: Final = sa.select(
    definitions,
    *(_NEWEST.c[name] for name in ("number", "mark", "epoch", "next_position", "fence", "tails")),
    floors.c.lineage,
).select_from(
    definitions.join(_NEWEST, _NEWEST.c.sequence == definitions.c.uid).outerjoin(
        floors, floors.c.sequence == definitions.c.uid
    )
)
_CALLED: Final = sa.select(names.c.uid).where(names.c.name == sa.bindparam("called"))
_NAMED: Final = _LOOK.where(definitions.c.uid == _CALLED.scalar_subquery())
_AGAIN: Final = _LOOK.where(definitions.c.uid == sa.bindparam("guess"))


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

    async def named(self, name: str) -> Look:
        found = await self._found(_NAMED, {"called": name, "guess": identity(name)})
        return found or await self._otherwise.named(name)

    async def again(self, known: Definition) -> Look:
        return await self._found(_AGAIN, {"guess": known.uid}) or await self._otherwise.again(known)

    async def _found(self, statement: sa.Select[Any], of: Mapping[str, Any]) -> Look | None:
        rows = await self._store.fetch_all(statement, of)
        if not rows or rows[0].lineage not in (None, HOME):
            return None
        return Look(as_definition(rows[0]), as_tip(rows[0]))
