"""Notices a peer that is there no more though its connection stands: frozen, or cut off."""

from __future__ import annotations

import asyncio
import time
from contextvars import Context
from typing import Final, Protocol

TICK_S: Final = 0.5
"""How often a lane looks at itself."""
SILENT_S: Final = 1.0
"""A peer that owes answers and is silent for so long is asked whether it is there."""
IDLE_S: Final = 30.0
"""The same of one that owes nothing."""
PONG_S: Final = 1.5
"""How long it may take to say so."""


class Watched(Protocol):
    """What is watched."""

    def tick(self) -> bool:
        """Look at yourself; answers whether the peer owes something."""

    def ping(self, number: int) -> None:
        """Ask the peer whether it is there."""

    def silent(self) -> None:
        """The peer did not say so in time."""


class Vigil:
    """Watches one peer from when it is set until it is stopped."""

    __slots__ = ("_asked_at", "_handle", "_heard_at", "_looked_at", "_loop", "_pings", "_watched")

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None
        self._heard_at = self._looked_at = time.monotonic()
        self._asked_at = 0.0
        self._pings = 0

    def set(self) -> None:
        """Watch from now on."""
        self._looked_at = time.monotonic()
        self._wait()

    def stop(self) -> None:
        """Watch no longer."""
        if self._handle is not None:
            self._handle.cancel()

    def heard(self) -> None:
        """Something came from the peer."""
        self._heard_at = time.monotonic()
        self._asked_at = 0.0

    def _wait(self) -> None:
        # In a context of its own: it must not hold what the first call carried.
        self._handle = self._loop.call_later(TICK_S, self._look, context=Context())

    def _look(self) -> None:
        owes = self._watched.tick()
        now = time.monotonic()
        was_busy = now - self._looked_at > 2 * TICK_S
        self._looked_at = now
        self._wait()
        if was_busy:  # what the peer said may lie unread
            self._asked_at = self._asked_at and now
        elif self._asked_at:
            if now - self._asked_at > PONG_S:
                self._watched.silent()
        elif now - self._heard_at > (SILENT_S if owes else IDLE_S):
            self._pings += 1
            self._asked_at = now
            self._watched.ping(self._pings)
