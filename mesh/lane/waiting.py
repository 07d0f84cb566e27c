"""Calls that wait for a place on a lane, in order, and no more of them than a bound."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from mesh.lane.call import UnaryCall

MAX_WAITING: Final = 16_384
MAX_WAITING_BYTES: Final = 64 << 20
"""Calls, and bytes of their requests, that may wait on one lane."""


class Waiting:
    """The calls that have been given to a lane and were not sent yet."""

    __slots__ = ("_bytes", "_calls")

    def __init__(self) -> None:
        self._calls: deque[UnaryCall] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[UnaryCall]:
        return iter(self._calls)

    def add(self, call: UnaryCall) -> bool:
        """Put a call at the end; False when too much waits already."""
        size = len(call.request)
        if len(self._calls) >= MAX_WAITING or self._bytes + size > MAX_WAITING_BYTES:
            return False
        self._calls.append(call)
        self._bytes += size
        return True

    def pop(self) -> UnaryCall:
        """The call that waits longest."""
        call = self._calls.popleft()
        self._bytes -= len(call.request)
        return call

    def clear(self) -> list[UnaryCall]:
        """All calls, which wait here no longer."""
        calls = list(self._calls)
        self._calls.clear()
        self._bytes = 0
        return calls
