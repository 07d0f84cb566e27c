"""Calls that wait for a place on a lane, in order, and no more of them than a bound."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from mesh.lane.call import UnaryCall

MAX_WAITING: Final = 16_384
MAX_WAITING_BYTES: Final = 64 << 20
"""Calls, and bytes of their requests, that may wait on one lane."""

_LITTER: Final = 64
"""So many ended calls more than others are swept out."""


class Waiting:
    """The calls that have been given to a lane and were not sent yet.

    One that has ended meanwhile is passed over, and no longer counts.
    """

    __slots__ = ("_bytes", "_calls", "_ended", "count")

    def __init__(self) -> None:
        self._calls: deque[UnaryCall] = deque()
        self._bytes = 0
        self._ended = 0
        self.count = 0
        """How many wait."""

    def __iter__(self) -> Iterator[UnaryCall]:
        return (call for call in self._calls if not call.is_done)

    def add(self, call: UnaryCall) -> bool:
        """Put a call at the end; False when too much waits already."""
        size = len(call.request)
        if self.count >= MAX_WAITING or self._bytes + size > MAX_WAITING_BYTES:
            return False
        self._calls.append(call)
        self._bytes += size
        self.count += 1
        return True

    def pop(self) -> UnaryCall:
        """The call that waits longest; there must be one."""
        while (call := self._calls.popleft()).is_done:
            self._ended -= 1
        self._bytes -= len(call.request)
        self.count -= 1
        return call

    def ended(self, call: UnaryCall) -> None:
        """A call that waits here has ended."""
        self._bytes -= len(call.request)
        self.count -= 1
        self._ended += 1
        if self._ended > self.count + _LITTER:
            self._calls = deque(self)
            self._ended = 0

    def clear(self) -> list[UnaryCall]:
        """All calls, which wait here no longer."""
        calls = list(self)
        self._calls.clear()
        self._bytes = self._ended = self.count = 0
        return calls
