"""Keeps facts: one row for each thing that events tell of, by the newest of them.

Events of one thing come in their order, but for one that was given up and is
replayed later; an older one then changes nothing that a newer one said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from mesh.storage import Transaction

NOBODY: Final = ""
"""In place of an event's id: what others say of a thing. It is older than any event of its own."""

_KEY: Final = "of_key"
_EVENT: Final = "of_event"


class Facts:
    """The rows of one table.

    Args:
        table: its first column is the key, and `last_event` the newest event's id.
        first: columns that stay as the first event said.
        latest: columns that are as the newest event says.
        ever: flags that stay once any event said so.
    """

    def __init__(
        self,
        table: sa.Table,
        *,
        latest: Sequence[str],
        first: Sequence[str] = (),
        ever: Sequence[str] = (),
    ) -> None:
        (self._key,) = table.primary_key
        newest = table.c.last_event
        known = sa.update(table).where(self._key == sa.bindparam(_KEY))
        flags = {name: sa.or_(table.c[name], sa.bindparam(f"to_{name}")) for name in ever}
        said: dict[str, Any] = {name: sa.bindparam(f"to_{name}") for name in latest}
        self._latest, self._first, self._ever = latest, first, ever
        self._newer = known.where(newest <= sa.bindparam(_EVENT)).values(
            {**said, **flags, "last_event": sa.bindparam(_EVENT)}
        )
        self._older = known.values({**flags, "last_event": newest})
        self._add = sa.insert(table)

    async def keep(
        self, tx: Transaction, key: int, event_id: str, values: Mapping[str, Any]
    ) -> None:
        """Take in what an event says of the thing `key`: a value for each column."""
        place = {_KEY: key}
        flags = {f"to_{name}": values[name] for name in self._ever}
        said = {f"to_{name}": values[name] for name in self._latest}
        own = {**place, _EVENT: event_id, **flags, **said}
        if event_id != NOBODY and await tx.execute(self._newer, own):
            return  # others never know more than what is known
        if await tx.execute(self._older, {**place, **flags}):
            return
        row = {name: values[name] for name in (*self._first, *self._latest, *self._ever)}
        await tx.execute(self._add, {self._key.name: key, "last_event": event_id, **row})
