"""How far the logs in Redis may have come, kept in the service's database.

Redis may lose what it acknowledged, and may be two Redises for a while. So the
database says which log of a sequence is in force, and no position is granted in
Redis that does not lie below the floor that the database has by then. Whatever
becomes of Redis, all that it granted lies below the floor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import sqlalchemy as sa

from mesh.storage import IntegrityViolation, Store
from sequencer import ledger
from sequencer.directory import SELF
from sequencer.entry import Entry, Tip
from sequencer.ledger import Stamp
from sequencer.log import Superseded
from sequencer.store._log import appending
from sequencer.store._tables import floors

HOME: Final = 0
"""The lineage of the log in the database: while it is in force, nothing is granted in Redis."""

STEP: Final = 2**20
"""How far a floor is raised above what is granted: this many positions, and numbers."""

SHARE_BITS: Final = 10
"""Of a short sequence it is only this part, 2**-10, since a restart of Redis uses it up."""

GRANTS: Final = 16
"""In any case it is room for so many of the grants that raised it."""

HOLDER: Final = f"{SELF}/log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """Which log of a sequence is in force, and what its entries stay below.

    `lineage` tells the logs that were begun in Redis from one another. Its entries have
    positions below `position`, numbers up to `number` and epochs up to `epoch`.
    `capacity` is that of the sequence.
    """

    lineage: int
    position: int
    number: int
    epoch: int
    capacity: int

    @property
    def tip(self) -> Tip:
        """The farthest that its log may have come."""
        return Tip(number=self.number, mark=0, epoch=self.epoch, position=self.position)

    def holds(self, tip: Tip) -> bool:
        """Whether the log may come this far."""
        return (
            tip.position <= self.position and tip.number <= self.number and tip.epoch <= self.epoch
        )

    def is_low(self, tip: Tip, size: int) -> bool:
        """Whether less than half a step is left above a tip, for grants of a size."""
        end = self.position >= self.capacity
        few = self.position - tip.position < self._step(size) // 2
        return (few and not end) or self.number - tip.number < STEP // 2

    def above(self, tip: Tip, size: int, *, lineage: int | None = None) -> Floor:
        """This floor, a step above a tip; with another lineage if that is given."""
        wanted = min(tip.position + self._step(size), self.capacity)
        return replace(
            self,
            lineage=self.lineage if lineage is None else lineage,
            position=max(self.position, tip.position, wanted),
            number=max(self.number, tip.number + STEP),
            epoch=max(self.epoch, tip.epoch),
        )

    def jumped(self, tip: Tip, stamp: Stamp, note: str) -> Entry:
        """The entry that goes on behind all that may have been granted, and behind a tip."""
        known = self.tip.witness
        entry = ledger.fenced(tip, [known], stamp, holder=HOLDER, note=note)
        return numbered(entry, max(tip.number, self.number) + 1)

    def _step(self, size: int) -> int:
        return max(min(STEP, self.capacity >> SHARE_BITS), GRANTS * size)


def numbered(entry: Entry, number: int) -> Entry:
    """The entry with another number."""
    return replace(entry, tip=replace(entry.tip, number=number))


_READ = sa.select(floors).where(floors.c.sequence == sa.bindparam("of"))
_ADD = sa.insert(floors)
_KNOWN = ("lineage", "position", "number", "epoch")
_REPLACE = (
    sa.update(floors)
    .where(
        floors.c.sequence == sa.bindparam("of"),
        *(floors.c[name] == sa.bindparam(f"known_{name}") for name in _KNOWN),
    )
    .values({name: sa.bindparam(f"new_{name}") for name in _KNOWN})
)


class Floors:
    """The floors, by the identity of their sequences."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read(self, uid: int) -> Floor | None:
        """The floor of a sequence; None when it never was in Redis."""
        rows = await self._store.fetch_all(_READ, {"of": uid})
        if not rows:
            return None
        (row,) = rows
        return Floor(
            lineage=row.lineage,
            position=row.position,
            number=row.number,
            epoch=row.epoch,
            capacity=row.capacity,
        )

    async def replace(self, uid: int, known: Floor, new: Floor) -> bool:
        """Put another floor in the place of a known one; False when it is not that any more."""
        return bool(await self._store.execute(_REPLACE, _replacing(uid, known, new)))

    async def move(
        self, uid: int, known: Floor | None, new: Floor, *, after: Tip, entries: Sequence[Entry]
    ) -> None:
        """The same, and entries in the log in the database; both or nothing.

        Raises:
            Superseded: the floor is not that any more, or `after` not the tip.
        """
        statement, values = appending(uid, after, entries)
        try:
            async with self._store.transaction() as transaction:
                if known is None:
                    await transaction.execute(_ADD, {"sequence": uid, **asdict(new)})
                elif not await transaction.execute(_REPLACE, _replacing(uid, known, new)):
                    raise Superseded
                if not await transaction.execute(statement, values):
                    raise Superseded
        except IntegrityViolation:
            raise Superseded from None


def _replacing(uid: int, known: Floor, new: Floor) -> dict[str, Any]:
    return {
        "of": uid,
        **{f"known_{name}": getattr(known, name) for name in _KNOWN},
        **{f"new_{name}": getattr(new, name) for name in _KNOWN},
    }
