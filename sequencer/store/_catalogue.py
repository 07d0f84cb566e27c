"""The sequences that there are, in the service's database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from mesh.storage import IntegrityViolation, Store, Transaction
from sequencer.definition import Definition
from sequencer.entry import Entry
from sequencer.store._tables import (
    as_definition,
    callers_text,
    definition_values,
    definitions,
    entries,
    entry_values,
    names,
)

_BY_NAME = (
    sa.select(definitions)
    .join(names, names.c.uid == definitions.c.uid)
    .where(names.c.name == sa.bindparam("called"))
)
_BY_UID = sa.select(definitions).where(definitions.c.uid == sa.bindparam("at"))
_PAGE = (
    sa.select(definitions)
    .where(definitions.c.name > sa.bindparam("after"))
    .order_by(definitions.c.name)
    .limit(sa.bindparam("most"))
)
_CHILDREN = (
    sa.select(definitions)
    .where(definitions.c.parent == sa.bindparam("of"))
    .order_by(definitions.c.uid)
)
_ADD = sa.insert(definitions)
_ADD_NAME = sa.insert(names)
_ADD_ENTRY = sa.insert(entries)
_CHANGE = (
    sa.update(definitions)
    .where(
        definitions.c.uid == sa.bindparam("at"),
        definitions.c.revision == sa.bindparam("known"),
    )
    .values(
        name=sa.bindparam("called"),
        state=sa.bindparam("in_state"),
        callers=sa.bindparam("whom"),
        retention_days=sa.bindparam("days"),
        revision=sa.bindparam("now"),
    )
)


class SqlCatalogue:
    """A `Catalogue` in a service's database."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, name: str) -> Definition | None:
        """The sequence that has or had a name."""
        return await self._one(_BY_NAME, called=name)

    async def get(self, uid: int) -> Definition | None:
        """The sequence of an identity."""
        return await self._one(_BY_UID, at=uid)

    async def page(self, *, after: str, limit: int) -> Sequence[Definition]:
        """Sequences in the order of their names, beginning after one."""
        rows = await self._store.fetch_all(_PAGE, {"after": after, "most": limit})
        return [as_definition(row) for row in rows]

    async def children(self, uid: int) -> Sequence[Definition]:
        """The periods of a serial."""
        return [as_definition(row) for row in await self._store.fetch_all(_CHILDREN, {"of": uid})]

    async def create(self, definition: Definition, first: Entry) -> bool:
        """Add a sequence and the beginning of its log; False when its name is taken.

        By then whoever has it can be found.
        """
        try:
            async with self._store.transaction() as transaction:
                await transaction.execute(_ADD, definition_values(definition))
                await _add_name(transaction, definition)
                values = {"sequence": definition.uid, **entry_values(first)}
                await transaction.execute(_ADD_ENTRY, values)
        except IntegrityViolation:
            async with self._store.transaction():
                return False  # at its end all is committed that it came after
        return True

    async def change(self, definition: Definition, *, renamed: bool = False) -> bool:
        """Keep a new revision; False when the one before it is not the newest any more.

        Raises:
            IntegrityViolation: it was renamed, and another sequence has or had the name.
        """
        values: dict[str, Any] = {
            "at": definition.uid,
            "known": definition.revision - 1,
            "called": definition.name,
            "in_state": definition.state.value,
            "whom": callers_text(definition.callers),
            "days": definition.retention_days,
            "now": definition.revision,
        }
        async with self._store.transaction() as transaction:
            hit = await transaction.execute(_CHANGE, values)
            if hit and renamed:
                await _add_name(transaction, definition)
        return bool(hit)

    async def _one(self, statement: sa.Select[Any], **parameters: Any) -> Definition | None:
        rows = await self._store.fetch_all(statement, parameters)
        return as_definition(rows[0]) if rows else None


async def _add_name(transaction: Transaction, definition: Definition) -> None:
    await transaction.execute(_ADD_NAME, {"name": definition.name, "uid": definition.uid})
