"""The logs in the service's database, where they are in force or come back into it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from types import TracebackType
from typing import Self

from mesh.clock import Clock
from mesh.log import get_logger
from mesh.storage import Store, StoreUnavailable
from sequencer import ledger
from sequencer.directory import Directory
from sequencer.entry import Tip
from sequencer.log import Superseded
from sequencer.look import Apart
from sequencer.store._ahead import LooksAhead
from sequencer.store._catalogue import SqlCatalogue
from sequencer.store._floors import HOLDER, HOME, Floor, Floors
from sequencer.store._log import SqlLog
from sequencer.store._looks import SqlLooks
from sequencer.store._turns import Turns

TRIES = 5
"""How often it is looked which log of a sequence is in force, while others change that."""

_log = get_logger(__name__)


class HomeLog(SqlLog, AbstractAsyncContextManager["HomeLog"]):
    """The logs in a database. One that went on in Redis comes back behind its floor.

    Once it is entered, the first append is as fast as later ones. `looks` looks at the
    sequences.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        super().__init__(store)
        self._floors = Floors(store)
        self._turns = Turns()
        directory = Directory(SqlCatalogue(store), clock)
        self._stamp = directory.stamp
        self._looks = SqlLooks(store, Apart(directory, self))
        self.looks = LooksAhead(self._looks, clock)

    async def __aenter__(self) -> Self:
        await self.warm()
        await self._looks.warm()
        await self.looks.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.looks.__aexit__(kind, error, trace)

    async def tip(self, uid: int) -> Tip | None:
        for _ in range(TRIES):
            tip = await super().tip(uid)
            floor = await self._floors.read(uid) if tip is not None else None  # not before the tip
            if tip is None or floor is None or floor.lineage == HOME:
                return tip
            async with self._turns.of(uid) as is_first:
                if is_first:
                    await self._come_back(uid, tip, floor)
        raise StoreUnavailable("servers that keep logs elsewhere are still there")

    async def _come_back(self, uid: int, tip: Tip, floor: Floor) -> None:
        """Close what was the end with an entry that all others meet, and jump the floor."""
        stamp = self._stamp()
        closing = ledger.changed(tip, HOLDER, "came back from Redis", stamp)
        jump = floor.jumped(closing.tip, stamp, "went on from the floor of Redis")
        try:
            await self._floors.move(
                uid, floor, replace(floor, lineage=HOME), after=tip, entries=[closing, jump]
            )
        except Superseded:
            return
        _log.warning("log_came_back", sequence=uid, ids_jumped=jump.size, epoch=jump.tip.epoch)
