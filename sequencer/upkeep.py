"""What has to be done for sequences now and then: forget old entries, and warn of their ends."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final, Protocol

from mesh.background import Background
from mesh.clock import Clock
from mesh.errors import MeshError
from mesh.log import get_logger
from mesh.storage import StorageError
from mesh.telemetry import Meters
from sequencer.definition import Definition
from sequencer.entry import Tip
from sequencer.service import Standing

EVERY_S: Final = 3_600.0
PAGE: Final = 500
"""Sequences that are read at once."""

WARN_DAYS: Final = 30.0
"""A sequence that lasts shorter is told of, once a day."""

ALL_DAYS: Final = 36_500.0
"""What the gauge shows while every sequence lasts for a century."""

_log: Final = get_logger(__name__)


class Catalogue(Protocol):
    """The sequences that there are."""

    async def page(self, *, after: str, limit: int) -> Sequence[Definition]:
        """Sequences in the order of their names, beginning after one."""


class Log(Protocol):
    """Their logs."""

    async def tip(self, uid: int) -> Tip | None:
        """What is true after the newest entry."""

    async def purge(self, uid: int, before: datetime, tip: int) -> int:
        """Forget a block of entries from before a moment; how many there were."""


class Sequences(Protocol):
    """Looks at them."""

    async def get(self, name: str) -> Standing:
        """One sequence, with the days that its ids last."""


class InUse(Protocol):
    """What this server grants from."""

    def in_use(self) -> Sequence[Definition]:
        """The sequences that it has in hand."""


class Upkeep(Background):
    """Looks after all sequences once an hour, in one task, for as long as it is entered.

    Each server does: what another one has forgotten already costs it a look.

    Args:
        catalogue: the sequences, whose entries are forgotten after their `retention_days`.
        log: their logs.
        sequences: tells how long their ids last.
        used: each has sequences to warn of.
        clock: says how old an entry is.
        meters: is given `sequencer.min_days_left`, and counts `sequencer.entries_purged`.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        log: Log,
        *,
        sequences: Sequences,
        used: Sequence[InUse],
        clock: Clock,
        meters: Meters,
    ) -> None:
        self._catalogue = catalogue
        self._entries = log
        self._sequences = sequences
        self._used = used
        self._clock = clock
        self._days: Mapping[int, float] = {}
        self._told: dict[int, date] = {}
        self._purged = meters.counter("sequencer.entries_purged")
        meters.gauge("sequencer.min_days_left", lambda: min([*self._days.values(), ALL_DAYS]))

    async def _run(self) -> None:
        while True:
            try:
                await self.look()
            except StorageError as error:
                _log.warning("upkeep_failed", error=type(error).__name__)
            await asyncio.sleep(EVERY_S)

    async def look(self) -> None:
        """Do what is to be done now."""
        await self._warn()
        await self._purge()

    async def _warn(self) -> None:
        days: dict[int, float] = {}
        for definition in (one for used in self._used for one in used.in_use()):
            try:
                left = (await self._sequences.get(definition.name)).days_left
            except MeshError:
                continue  # it was put away with an older copy of the store
            if left is not None:
                days[definition.uid] = left
                self._tell(definition, left)
        self._days = days

    def _tell(self, definition: Definition, left: float) -> None:
        today = self._clock.now().date()
        if left >= WARN_DAYS or self._told.get(definition.uid) == today:
            return
        self._told[definition.uid] = today
        _log.warning("sequence_runs_out", sequence=definition.name, days_left=round(left, 1))

    async def _purge(self) -> None:
        after = ""
        while page := await self._catalogue.page(after=after, limit=PAGE):
            for definition in page:
                await self._forget_old(definition)
                await asyncio.sleep(0)  # there may be very many, and calls are to be served
            after = page[-1].name

    async def _forget_old(self, definition: Definition) -> None:
        before = self._clock.now() - timedelta(days=definition.retention_days)
        if definition.create_time >= before:
            return
        if (tip := await self._entries.tip(definition.uid)) is None:
            return
        while gone := await self._entries.purge(definition.uid, before, tip.number):
            self._purged.add(gone)
            await asyncio.sleep(0)
