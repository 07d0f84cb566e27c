"""What a server knows of floors, and raises ahead of what it grants."""

from __future__ import annotations

import asyncio
from typing import Final

from mesh.log import get_logger
from mesh.storage import StorageError, StoreUnavailable
from mesh.telemetry import Meters
from sequencer.entry import Tip
from sequencer.log import Superseded
from sequencer.store._floors import Floor, Floors

TRIES: Final = 5
"""How often a floor is raised that other servers raise at the same time."""

MAX_KNOWN: Final = 50_000
"""Floors that a server remembers; each is a lower bound of what the database has."""

_log: Final = get_logger(__name__)


class Headroom:
    """Keeps floors above the tips of this server's appends, one statement for each half step."""

    def __init__(self, floors: Floors, meters: Meters) -> None:
        self._floors = floors
        self._known: dict[int, Floor] = {}
        self._raising: dict[int, asyncio.Task[None]] = {}
        self._raised = meters.counter("sequencer.floors_raised")

    def known(self, uid: int) -> Floor | None:
        """The floor as it was last seen."""
        return self._known.get(uid)

    def know(self, uid: int, floor: Floor) -> None:
        """Remember a floor as it is in the database."""
        if len(self._known) >= MAX_KNOWN and uid not in self._known:
            for one in list(self._known)[: MAX_KNOWN // 10]:
                del self._known[one]
        self._known[uid] = floor

    def forget(self, uid: int) -> None:
        """Look at the database the next time."""
        self._known.pop(uid, None)

    async def holding(self, uid: int, floor: Floor, tip: Tip, size: int) -> Floor:
        """The floor, raised if it does not hold a tip that a grant of a size leads to.

        Raises:
            Superseded: the log is not in force any more.
        """
        if floor.holds(tip):
            return floor
        if (raising := self._raising.get(uid)) is not None:
            await asyncio.wait([raising])
            floor = self._known.get(uid, floor)
        return floor if floor.holds(tip) else await self._raise(uid, floor, tip, size)

    def used(self, uid: int, tip: Tip, size: int) -> None:
        """Raise the floor beside what goes on, if a tip left it low."""
        floor = self._known.get(uid)
        if floor is None or uid in self._raising or not floor.is_low(tip, size):
            return
        raising = self._raise_quietly(uid, floor, tip, size)
        self._raising[uid] = task = asyncio.create_task(raising, name="sequencer-floor")
        task.add_done_callback(lambda _: self._raising.pop(uid, None))

    async def settle(self) -> None:
        """Wait for what is being raised."""
        if self._raising:
            await asyncio.wait(self._raising.values())

    async def _raise(self, uid: int, floor: Floor, tip: Tip, size: int) -> Floor:
        for _ in range(TRIES):
            wanted = floor.above(tip, size)
            if await self._floors.replace(uid, floor, wanted):
                self._raised.add()
                self.know(uid, wanted)
                return wanted
            found = await self._floors.read(uid)
            if found is None or found.lineage != floor.lineage:
                self.forget(uid)
                raise Superseded
            floor = found
            if floor.holds(tip) and not floor.is_low(tip, size):
                self.know(uid, floor)
                return floor
        raise StoreUnavailable("the floor of a sequence does not come to rest")

    async def _raise_quietly(self, uid: int, floor: Floor, tip: Tip, size: int) -> None:
        try:
            await self._raise(uid, floor, tip, size)
        except (Superseded, StorageError) as error:
            _log.warning("floor_not_raised", sequence=uid, error=type(error).__name__)
