"""Notices a peer that is there no more though its connection stands: frozen, or cut off."""

from __future__ import annotations

import asyncio
import time
from contextvars import Context
from typing import Final, Protocol

TICK_S: Final = 0.5
"""How often a lane looks at itself; sooner when something is due before that,"""
LEAST_S: Final = 0.01
"""but not sooner than this."""
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
        self._wait(TICK_S)

    def stop(self) -> None:
        """Watch no longer."""
        if self._handle is not None:
            self._handle.cancel()

    def heard(self) -> None:
        """Something came from the peer."""
        self._heard_at = time.monotonic()
        self._asked_at = 0.0

    def _wait(self, seconds: float) -> None:
        # In a context of its own: it must not hold what the first call carried.
        self._handle = self._loop.call_later(seconds, self._look, context=Context())

    def _look(self) -> None:
        owes = self._watched.tick()
        now = time.monotonic()
        was_busy = now - self._looked_at > 2 * TICK_S
        self._looked_at = now
        if was_busy:  # what the peer said may lie unread
            self._asked_at = self._asked_at and now
        left_s = self._due(owes) - now
        self._wait(min(TICK_S, max(LEAST_S, left_s)) if left_s > 0 else TICK_S)
        if was_busy or left_s > 0:
            return
        if self._asked_at:
            self._watched.silent()
        else:
            self._pings += 1
            self._asked_at = now
            self._watched.ping(self._pings)

    def _due(self, owes: bool) -> float:
        """When the peer is given up, or else when it is asked."""
        if self._asked_at:
            return self._asked_at + PONG_S
        return self._heard_at + (SILENT_S if owes else IDLE_S)
