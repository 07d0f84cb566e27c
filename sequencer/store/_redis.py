"""The logs of sequences in Redis: an allocation is one script, a floor in the database its bound.

A log that Redis lost, or has an older copy of, goes on from its floor: all that was
granted lies below. So ids are unique whatever Redis keeps; which entries an audit still
finds is up to its `appendfsync` and its replicas.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Final

from mesh.clock import Clock
from mesh.redis import RedisClient
from mesh.storage import OutcomeUnknown, Store, StoreUnavailable
from mesh.telemetry import Meters
from sequencer.directory import Directory
from sequencer.entry import Entry, Tip
from sequencer.log import BACK, EntryFilter, Superseded, Usage
from sequencer.look import Apart
from sequencer.store import _redis_scripts as scripts
from sequencer.store._catalogue import SqlCatalogue
from sequencer.store._floors import HOME, Floor, Floors
from sequencer.store._headroom import Headroom
from sequencer.store._lineages import Lineages, fields
from sequencer.store._log import SqlLog
from sequencer.store._redis_entries import Keys, RedisEntries, answered, words

TRIES: Final = 5
"""How often it is looked which log is in force, while other servers change that."""


class RedisLog(AbstractAsyncContextManager["RedisLog"]):
    """A `SequenceLog` in Redis. Leaving it waits for floors that are being raised.

    A sequence's log begins in the database, with the sequence; it goes on in Redis with its
    first append here. What is older is still read from the database.

    Args:
        redis: reaches Redis; not closed here.
        store: the service's database.
        meters: counts logs that went on from their floors, and raised floors.

    `looks` looks at the sequences.
    """

    def __init__(self, redis: RedisClient, store: Store, clock: Clock, meters: Meters) -> None:
        self._entries = RedisEntries(redis)
        self._append = redis.script(scripts.APPEND)
        self._home = SqlLog(store)
        self._floors = Floors(store)
        self._headroom = Headroom(self._floors, meters)
        self._lineages = Lineages(redis, store, clock, self._headroom, meters)
        self.looks = Apart(Directory(SqlCatalogue(store), clock), self)

    async def __aexit__(self, *_: object) -> None:
        await self._headroom.settle()

    async def tip(self, uid: int) -> Tip | None:
        for _ in range(TRIES):
            look = await self._lineages.look(uid)
            if look.is_in_force(self._headroom.known(uid)):
                return look.tip
            self._headroom.forget(uid)
            if (floor := await self._floor(uid)) is None:
                return await self._home.tip(uid)
            if look.is_in_force(floor):
                return look.tip
            await self._lineages.go_on(uid)
        raise StoreUnavailable("it does not come to rest which log in Redis is in force")

    async def append(self, uid: int, after: Tip, new: Sequence[Entry]) -> None:
        tip, size = new[-1].tip, new[-1].tip.position - after.position
        if (floor := await self._floor(uid)) is None:
            await self._lineages.move(uid)
            raise Superseded
        floor = await self._headroom.holding(uid, floor, tip, size)
        args = [floor.lineage, after.number, after.mark, *fields(tip), *words(new)]
        try:
            with answered():
                landed = await self._append(keys=Keys(uid).all, args=args)
        except StoreUnavailable as error:
            raise OutcomeUnknown(str(error)) from error
        if not landed:
            raise Superseded
        self._headroom.used(uid, tip, size)

    async def entry(self, uid: int, number: int) -> Entry | None:
        found = await self._entries.next(uid, number)
        if found is not None and found.number == number:
            return found
        both = (found, await self._home.entry(uid, number))
        return min(filter(None, both), key=lambda entry: entry.number, default=None)

    async def returned(self, uid: int, number: int) -> Entry | None:
        for entry in await self._entries.cut_from(uid, number):
            if entry.action in BACK:
                return entry
        return await self._home.returned(uid, number)

    async def entries(
        self, uid: int, *, before: int, limit: int, only: EntryFilter
    ) -> Sequence[Entry]:
        new = await self._entries.newest(uid, before=before, limit=limit, only=only)
        old = await self._home.entries(uid, before=before, limit=limit, only=only)
        return _newest((*new, *old), limit)

    async def holding(self, uid: int, position: int, *, before: int, limit: int) -> Sequence[Entry]:
        new = await self._entries.holding(uid, position)
        old = await self._home.holding(uid, position, before=before, limit=limit)
        return _newest((*old, *(entry for entry in new if entry.number < before)), limit)

    async def usage(self, uid: int, since: datetime, until: datetime) -> Mapping[str, Usage]:
        new = await self._entries.usage(uid, since, until)
        old = await self._home.usage(uid, since, until)
        return {caller: _sum(new.get(caller), old.get(caller)) for caller in {*new, *old}}

    async def purge(self, uid: int, before: datetime, tip: int) -> int:
        count = await self._entries.purge(uid, before, tip)
        newest = await self._home.tip(uid)
        if newest is None:
            return count
        return count + await self._home.purge(uid, before, min(tip, newest.number))

    async def _floor(self, uid: int) -> Floor | None:
        """The floor of a log that is in Redis; None when it is in the database."""
        if (known := self._headroom.known(uid)) is not None:
            return known
        floor = await self._floors.read(uid)
        if floor is None or floor.lineage == HOME:
            return None
        self._headroom.know(uid, floor)
        return floor


def _newest(found: Iterable[Entry], limit: int) -> list[Entry]:
    return sorted(found, key=lambda entry: -entry.number)[:limit]


def _sum(*parts: Usage | None) -> Usage:
    known = [part for part in parts if part is not None]
    return Usage(
        leases=sum(one.leases for one in known),
        granted=sum(one.granted for one in known),
        returned=sum(one.returned for one in known),
    )
