"""Looks that a server takes when it starts, before somebody waits for them."""

from __future__ import annotations

import asyncio
from typing import Final

from mesh.background import Background
from mesh.clock import Clock
from mesh.log import get_logger
from mesh.storage import Row, StorageError
from sequencer.definition import Definition
from sequencer.directory import Admit
from sequencer.look import Look
from sequencer.store._looks import SqlLooks, look

MOST: Final = 1_000
"""Sequences that are looked at ahead. Others are looked at when they are asked for."""

KEPT_S: Final = 60.0
"""How long such a look is kept. Later another server has more likely appended since."""

READ_S: Final = 30.0
"""How long reading them may take."""

_log: Final = get_logger(__name__)


class LooksAhead(Background):
    """`Looks` that looks at many sequences in the background, once it is entered.

    So the first grant of a server that has just started is one round trip, its append.
    That fails when a look is not what the log is by then, as it does for any tip that a
    server remembers, and the sequence is looked at again.

    Args:
        looks: looks at sequences in the service's database.
        clock: measures how long what was seen is kept.
        most: how many are looked at ahead.
    """

    def __init__(self, looks: SqlLooks, clock: Clock, *, most: int = MOST) -> None:
        self._looks = looks
        self._clock = clock
        self._most = most
        self._seen: dict[str, Row] = {}
        self._until = 0.0

    async def named(self, name: str, admit: Admit | None = None) -> Look:
        if self._clock.monotonic() >= self._until:
            self._seen.clear()
        row = self._seen.get(name)
        return look(row) if row is not None else await self._looks.named(name, admit)

    async def again(self, known: Definition) -> Look:
        self._seen.pop(known.name, None)
        return await self._looks.again(known)

    async def read(self) -> None:
        """Look at them now; what cannot be read is looked at when it is asked for."""
        try:
            async with asyncio.timeout(READ_S):
                self._until = self._clock.monotonic() + KEPT_S
                async for rows in self._looks.many(self._most):
                    self._seen.update((row.name, row) for row in rows)
        except (StorageError, TimeoutError) as error:
            _log.warning("looks_ahead_failed", error=type(error).__name__)

    async def _run(self) -> None:
        await self.read()
