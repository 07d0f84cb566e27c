"""Carries what a service's transactions published to the bus."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from engine.mesh.v1.bus_pb2 import AppendRequest
from mesh.background import Background
from mesh.clock import Clock, SystemClock
from mesh.events._bus import EventBus
from mesh.events._failure import Backoff, is_passing, kind
from mesh.log import get_logger
from mesh.storage import Outbox, RelayTurn
from mesh.telemetry import Meters

BATCH: Final = 1_000
MAX_BATCH_BYTES: Final = 3 << 20
LOOK_S: Final = 1.0
"""How often to look for what another process published to the same database."""

_log = get_logger(__name__)


class Relay(Background):
    """Passes on the events of an outbox, in their order, for as long as it is entered.

    Of all processes that publish to one database, one at a time passes on what there
    is, whoever published it: so the order is kept. A relay that does not get its turn
    tries again later, and so does one that cannot reach the bus: the events stay where
    they are. A crash after the bus took some and before they were removed passes them on
    again: consumers know them by their ids.

    Args:
        outbox: what the service published.
        bus: where it goes.
        clock: measures the waiting between two tries.
        meters: counts `events.relayed`.
    """

    def __init__(
        self,
        outbox: Outbox,
        bus: EventBus,
        *,
        clock: Clock | None = None,
        meters: Meters | None = None,
    ) -> None:
        self._outbox = outbox
        self._bus = bus
        self._clock = clock or SystemClock()
        self._relayed = (meters or Meters()).counter("events.relayed")
        self._taken = 0
        self._removed = 0

    async def _run(self) -> None:
        backoff = Backoff()
        told = False
        while True:
            try:
                if told or await self._is_due():
                    await self._have_turn(backoff)
                told = await self._news()
            except Exception as error:  # noqa: BLE001 - nothing may end it: events wait
                if not is_passing(error):
                    _log.error("relay_refused", error=kind(error))
                await self._clock.sleep(backoff.next_s())

    async def _is_due(self) -> bool:
        return self._removed < self._taken or bool(await self._outbox.read(1, after=self._taken))

    async def _have_turn(self, backoff: Backoff) -> None:
        """Pass on all there is."""
        async with self._outbox.turn() as turn:
            while await self._pass_on(turn):
                backoff.reset()

    async def _pass_on(self, turn: RelayTurn) -> bool:
        """Pass on a batch and forget it; False when there is none."""
        found = await self._outbox.read(BATCH, after=self._taken, max_bytes=MAX_BATCH_BYTES)
        if found:
            request = AppendRequest()
            for _, raw in found:
                request.events.add().MergeFromString(raw)
            await turn.confirm()
            await self._bus.append(request)
            self._taken = found[-1][0]
            self._relayed.add(len(found))
        if self._removed < self._taken:  # also when that failed the last time
            await self._outbox.remove(self._taken)
            self._removed = self._taken
        return bool(found)

    async def _news(self) -> bool:
        """Wait for what this process publishes, not for ever; whether it did."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                await self._outbox.wait()
                return True
        return False
