"""Who looks on at a process's lanes: what he wants to see, and what waits to be sent to him.

Nothing waits for him. His queue is bounded, and so is what he is shown in a second.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from engine.mesh.v1.lane_pb2 import LaneFrame, TapResponse

MAX_QUEUED: Final = 512
"""Frames that wait for a listener; further ones are lost to him."""
PER_ANSWER: Final = 64
"""Frames sent at once."""
PER_SECOND: Final = 500
"""Frames shown in a second, replies aside: they follow their calls."""


class Listener:
    """One listener.

    Args:
        method: part of the path of the calls that he wants; empty: all frames.
        caller: whose frames he wants; empty: everybody's.
        now: seconds of a clock that does not jump.
    """

    def __init__(
        self, *, method: str = "", caller: str = "", now: Callable[[], float] = time.monotonic
    ) -> None:
        self._method = method
        self._caller = caller
        self._now = now
        self._queue: deque[LaneFrame] = deque()
        self._lost = self._left_out = 0
        self._allowed = float(PER_SECOND)
        self._counted_at = now()
        self._is_closed = False
        self._awake = asyncio.Event()

    def hears(self, caller: str) -> bool:
        """Whether he wants frames of a caller."""
        return not self._caller or self._caller == caller

    def takes_call(self, path: str) -> bool:
        """Whether he is to be shown a call of a method, and then its reply."""
        return self._method in path and self._has_room()

    def takes_piece(self) -> bool:
        """Whether he is to be shown a piece of a reply whose call he was shown."""
        return self._has_room()

    def takes_control(self) -> bool:
        """Whether he is to be shown a frame that is of no call."""
        return not self._method and self._has_room()

    def offer(self, frame: LaneFrame) -> None:
        """Send him a frame, unless too many wait already."""
        if len(self._queue) >= MAX_QUEUED:
            self._lost += 1
        else:
            self._queue.append(frame)
        self._awake.set()

    async def next(self) -> TapResponse | None:
        """What he is sent next, once there is something; None when the tap was closed."""
        while not self._queue:
            if self._is_closed:
                return None
            self._awake.clear()
            await self._awake.wait()
        answer = TapResponse(lost=self._lost, left_out=self._left_out)
        self._lost = self._left_out = 0
        for _ in range(min(len(self._queue), PER_ANSWER)):
            answer.frames.append(self._queue.popleft())
        return answer

    def close(self) -> None:
        """Send what waits, and end."""
        self._is_closed = True
        self._awake.set()

    def _has_room(self) -> bool:
        """Whether a frame more may be shown now; counts it, or that it was not."""
        if len(self._queue) >= MAX_QUEUED:
            self._lost += 1
            return False
        now = self._now()
        self._allowed += (now - self._counted_at) * PER_SECOND
        self._allowed = min(self._allowed, PER_SECOND)
        self._counted_at = now
        if self._allowed < 1:
            self._left_out += 1
            return False
        self._allowed -= 1
        return True
