"""Epochs of rights in the database: each begins when another catalogue of roles is in force."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import sqlalchemy as sa

from centers.identity.domain import Epochs
from centers.identity.tables import COUNTERS
from mesh.storage import IntegrityViolation, Store, StoreUnavailable, Transaction

ATTEMPTS: Final = 3
"""Processes that start at once may be in each other's way."""

_PRESENT: Final = "epoch"
_CATALOGUE: Final = "roles:"
"""Begins the name of a catalogue; its position is the epoch in which it came into force."""

_FIND: Final = sa.select(COUNTERS.c.name, COUNTERS.c.position).where(
    COUNTERS.c.name.in_((_PRESENT, sa.bindparam("catalogue")))
)
_ADD: Final = sa.insert(COUNTERS)
_NEXT: Final = (
    sa.update(COUNTERS).where(COUNTERS.c.name == _PRESENT).values(position=COUNTERS.c.position + 1)
)
_SET: Final = (
    sa.update(COUNTERS)
    .where(COUNTERS.c.name == sa.bindparam("catalogue"))
    .values(position=sa.bindparam("epoch"))
)


async def epochs(source: Store | Transaction, catalogue: str) -> Epochs:
    """When a catalogue came into force, and the present epoch; 0 where there is none."""
    rows = await source.fetch_all(_FIND, {"catalogue": _CATALOGUE + catalogue})
    found = {row.name: row.position for row in rows}
    return Epochs(own=found.get(_CATALOGUE + catalogue, 0), present=found.get(_PRESENT, 0))


async def enact(store: Store, catalogue: str) -> None:
    """Begin the epoch of a catalogue, unless it is the present one.

    Raises:
        StorageError: the database takes it from nobody, neither from us nor from another process.
    """
    for _ in range(ATTEMPTS - 1):
        with suppress(IntegrityViolation, StoreUnavailable):  # another process began one as well
            return await _enact(store, catalogue)
    return await _enact(store, catalogue)


async def _enact(store: Store, catalogue: str) -> None:
    found = await epochs(store, catalogue)
    if found.own and found.own == found.present:
        return
    async with store.transaction() as transaction:
        if not await transaction.execute(_NEXT):
            await transaction.execute(_ADD, {"name": _PRESENT, "position": 1})
        epoch = (await epochs(transaction, catalogue)).present
        values = {"catalogue": _CATALOGUE + catalogue, "epoch": epoch}
        if not await transaction.execute(_SET, values):
            await transaction.execute(_ADD, {"name": values["catalogue"], "position": epoch})
