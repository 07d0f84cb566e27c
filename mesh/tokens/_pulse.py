"""How long ago the news of ended rights was heard, and whether that is too long."""

from __future__ import annotations

import math
from typing import Final

from mesh.clock import Clock, SystemClock

SILENCE_S: Final = 5.0
"""Without news for so long, a process does not know any more who may still change something."""


class Pulse:
    """The signs of life of who tells that rights have ended.

    Until `expect` was called nobody tells, and nothing is too late: the keys were given by
    hand. From then on it is silent until the first `beat`.

    Args:
        clock: its seconds that do not jump are counted.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.now = (clock or SystemClock()).monotonic
        self._limit_s = math.inf
        self._silent_at = math.inf

    def expect(self, limit_s: float = SILENCE_S) -> None:
        """Count as silent now, and whenever there was no beat for so many seconds."""
        self._limit_s = limit_s
        self._silent_at = -math.inf

    def beat(self, known_until: float) -> None:
        """All that ended until a time (`now`) is known; an earlier one than before is none."""
        self._silent_at = max(self._silent_at, known_until + self._limit_s)

    @property
    def is_silent(self) -> bool:
        """Whether rights may have ended that are not known here."""
        return self.now() >= self._silent_at
