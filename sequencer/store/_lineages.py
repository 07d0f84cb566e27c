"""Which log of a sequence is in force: that in the database, or one that was begun in Redis.

Each log that is begun in Redis has a lineage of its own. The floor in the database names
the one in force; no other gets its floor raised. So a Redis that lost what it had, one
that was failed over from and does not know, and a server with older settings, all end at
a floor which the log in force began behind.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from mesh.clock import Clock
from mesh.log import get_logger
from mesh.redis import RedisClient
from mesh.storage import Store, StoreUnavailable
from mesh.telemetry import Meters
from sequencer import ledger
from sequencer.directory import MARK_BITS, Directory
from sequencer.entry import Entry, Tip
from sequencer.ledger import Stamp
from sequencer.store import _redis_scripts as scripts
from sequencer.store._catalogue import SqlCatalogue
from sequencer.store._floors import HOLDER, HOME, Floor, Floors, numbered
from sequencer.store._headroom import Headroom
from sequencer.store._log import SqlLog
from sequencer.store._redis_entries import Keys, answered, words
from sequencer.store._tables import tails, tails_text
from sequencer.store._turns import Turns

_log: Final = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What Redis has: the tip and its lineage, and whether they are of its present life.

    `claim` is the lineage that the next log of the sequence is to have, once it was asked for.
    """

    tip: Tip | None
    lineage: int
    is_current: bool
    claim: int = HOME

    def is_in_force(self, floor: Floor | None) -> bool:
        """Whether this is the log that a floor is of."""
        return floor is not None and self.is_current and self.lineage == floor.lineage


class Lineages:
    """Begins logs in Redis. Several servers may try at once: one log comes of it."""

    def __init__(
        self, redis: RedisClient, store: Store, clock: Clock, headroom: Headroom, meters: Meters
    ) -> None:
        self._home = SqlLog(store)
        self._floors = Floors(store)
        self._catalogue = SqlCatalogue(store)
        self._stamp = Directory(self._catalogue, clock).stamp
        self._headroom = headroom
        self._turns = Turns()
        self._look = redis.script(scripts.LOOK)
        self._claim = redis.script(scripts.CLAIM)
        self._begin = redis.script(scripts.BEGIN)
        self._jumps = meters.counter("sequencer.redis_jumps")

    async def look(self, uid: int) -> Look:
        """What Redis has of a sequence."""
        with answered():
            return _look(await self._look(keys=Keys(uid).all))

    async def go_on(self, uid: int) -> None:
        """Have a log that Redis lost, or may have lost the end of, go on from its floor.

        Of several callers in one server one does it, and the others wait for that.
        """
        async with self._turns.of(uid) as is_first:
            if is_first:
                await self._go_on(uid)

    async def move(self, uid: int) -> None:
        """Have the log that is in the database go on in Redis.

        Its last entry there is one that all who would append there meet. The number behind
        that is left free in Redis, for the entry that brings it back.

        Raises:
            Superseded: others changed the log at the same time.
        """
        async with self._turns.of(uid) as is_first:  # else who looks meanwhile takes it for lost
            if is_first:
                await self._move(uid)

    async def _move(self, uid: int) -> None:
        look = await self._claimed(uid)
        tip, floor = await self._home.tip(uid), await self._floors.read(uid)
        definition = await self._catalogue.get(uid)
        if tip is None or definition is None:
            raise StoreUnavailable("the log of a sequence is missing")
        capacity = definition.capacity
        base = floor or Floor(lineage=HOME, position=0, number=0, epoch=0, capacity=capacity)
        if base.lineage != HOME:
            return
        stamp = self._stamp()
        closing = ledger.changed(tip, HOLDER, "goes on in Redis", stamp)
        first = _first(closing.tip, look.tip, stamp)
        raised = base.above(first.tip, 0, lineage=look.claim)
        await self._floors.move(uid, floor, raised, after=tip, entries=[closing])
        await self._begun(uid, raised, first)

    async def _go_on(self, uid: int) -> None:
        look = await self._claimed(uid)
        floor = await self._floors.read(uid)
        if floor is None or floor.lineage == HOME or look.is_in_force(floor):
            return
        cause = "kept nothing" if look.tip is None else "restarted or failed over"
        if look.is_current:
            cause = "had a log that is not in force"
        note = f"redis {cause}: went on from the floor"
        jump = floor.jumped(look.tip or floor.tip, self._stamp(), note)
        raised = floor.above(jump.tip, 0, lineage=look.claim)
        if not await self._floors.replace(uid, floor, raised):
            return
        if await self._begun(uid, raised, jump):
            self._jumps.add()
            _log.error("log_went_on_from_floor", sequence=uid, ids_jumped=jump.size, note=note)

    async def _claimed(self, uid: int) -> Look:
        """What Redis has, with the lineage that the next log is to have.

        The claim is lost with all that Redis loses: so who still has it when the log is
        begun knows that none was begun and lost since it looked at the floor.
        """
        wanted = secrets.randbits(MARK_BITS) or 1
        with answered():
            return _look(await self._claim(keys=Keys(uid).all, args=[wanted]))

    async def _begun(self, uid: int, floor: Floor, first: Entry) -> bool:
        """Begin a log in Redis; False when another server did, or the claim was lost."""
        args = [floor.lineage, *fields(first.tip), *words([first])]
        with answered():
            begun = bool(await self._begin(keys=Keys(uid).all, args=args))
        if begun:
            self._headroom.know(uid, floor)
        return begun


def fields(tip: Tip) -> list[int | str]:
    """A tip as scripts want it."""
    return [tip.number, tip.mark, tip.epoch, tip.position, tip.fence, tails_text(tip.tails)]


def _first(closing: Tip, left: Tip | None, stamp: Stamp) -> Entry:
    """The entry that a log in Redis begins with, behind what an earlier one there left."""
    if left is None or (left.epoch <= closing.epoch and left.position <= closing.position):
        entry = ledger.changed(closing, HOLDER, "came from the database", stamp)
    else:
        note = "the database was put back: went on behind the log in Redis"
        entry = ledger.fenced(closing, [left.witness], stamp, holder=HOLDER, note=note)
    return numbered(entry, max(closing.number + 2, left.number + 1 if left else 0))


def _look(answer: Sequence[Any]) -> Look:
    now, (run, lineage, *found), *claim = answer
    return Look(
        tip=_tip(found) if found[0] is not None else None,
        lineage=int(lineage or HOME),
        is_current=run == now,
        claim=int(claim[0]) if claim else HOME,
    )


def _tip(found: Sequence[bytes]) -> Tip:
    number, mark, epoch, position, fence = map(int, found[:5])
    return Tip(
        number=number,
        mark=mark,
        epoch=epoch,
        position=position,
        fence=fence,
        tails=tails(found[5].decode()),
    )
