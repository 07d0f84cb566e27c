"""Makes a client's batches: numbers calls, names methods and metadata once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import grpc

from mesh.lane.blocks import Blocks
from mesh.lane.call import UnaryCall
from mesh.lane.frames import (
    FULL_BYTES,
    FULL_FRAMES,
    MAX_METHODS,
    MAX_REQUEST,
    CallFrame,
    Control,
    encode,
    pack,
    size_of,
)
from mesh.lane.waiting import Waiting

NO_TIME_LEFT: Final = "Too many calls wait for this server: no answer would come in time"
MARGIN: Final = 1.5
"""Of the time that answers take: so much must be left of a call that had to wait."""
_NEWEST: Final = 0.2
"""Weight of the newest answer in the average."""
_LONGEST_S: Final = 1e9
"""A longer time-out is none."""


class Composer:
    """What a lane has said so far, and what it says next.

    `control` frames go out with the next batch, behind its calls. No request above
    `max_request` bytes is sent.

    Args:
        too_large: is given the calls whose requests are.
    """

    __slots__ = (
        "_answer_s",
        "_fresh",
        "_methods",
        "_too_large",
        "blocks",
        "control",
        "max_request",
        "next_id",
    )

    def __init__(self, too_large: Callable[[UnaryCall], None]) -> None:
        self._too_large = too_large
        self.max_request = MAX_REQUEST
        self.next_id = 1
        self.control: list[Control] = []
        self.blocks = Blocks()
        self._answer_s = 0.0
        self._methods: dict[str, int] = {}
        self._fresh: list[tuple[int, str]] = []

    def __bool__(self) -> bool:
        """Whether there is anything to say beside calls."""
        return bool(self.control or self.blocks.dropped)

    def knows(self, path: str) -> bool:
        """Whether calls of a method can be sent; a lane names a bounded number of methods."""
        return path in self._methods or len(self._methods) < MAX_METHODS

    def batch(self, waiting: Waiting, in_flight: dict[int, UnaryCall], window: int) -> bytes:
        """The next batch: calls move from `waiting` to `in_flight` until either is full."""
        calls = self._calls(waiting, in_flight, window) if waiting.count else []
        methods, self._fresh = self._fresh, []
        control, self.control = self.control, []
        blocks = self.blocks
        if blocks.dropped:
            control += blocks.take_dropped()
        return encode((methods, blocks.take_fresh() if blocks.fresh else [], calls, control))

    def _calls(
        self, waiting: Waiting, in_flight: dict[int, UnaryCall], window: int
    ) -> list[CallFrame]:
        frames: list[CallFrame] = []
        blocks, size, now, today = self.blocks, 0, time.monotonic(), time.time()
        most, max_request = min(FULL_FRAMES, window - len(in_flight)), self.max_request
        while waiting.count and len(frames) < most and size < FULL_BYTES:
            call = waiting.pop()
            left = call.due - now
            if left <= self._answer_s:
                self._give_up(call, left)
                continue
            length = len(call.request)
            if length > max_request:
                self._too_large(call)
                continue
            number = call.id = self.next_id
            self.next_id = number + 1
            in_flight[number] = call
            call.began = now
            method = self._methods.get(call.path) or self._name(call.path)
            timeout_us = int(left * 1e6) + 1 if left < _LONGEST_S else 0
            shared, block = call.shared, 0
            own = pack(call.own) if call.own else []
            if shared is not None:
                if shared.until > today:
                    block = blocks.id_of(shared)
                    size += shared.size if blocks.fresh else 0
                else:
                    own = [*shared.packed, *own]
            if own:
                size += size_of(own)
            size += length
            frames.append((number, method, timeout_us, block, call.trace, own, call.request))
        if not waiting.count:
            self._answer_s = 0.0
        return frames

    def crowded(self, answer_s: float) -> None:
        """Calls wait though others are answered, the last of them after so many seconds.

        From now on, and until none waits, those that have no time left for an answer are not
        sent: the server would work for nobody while others wait.
        """
        weight = _NEWEST if self._answer_s else 1.0
        self._answer_s += weight * (MARGIN * answer_s - self._answer_s)

    def _give_up(self, call: UnaryCall, left: float) -> None:
        call.holder = None
        if left <= 0:
            call.late()
        else:
            call.failed(grpc.StatusCode.RESOURCE_EXHAUSTED, NO_TIME_LEFT)

    def _name(self, path: str) -> int:
        number = self._methods[path] = len(self._methods) + 1
        self._fresh.append((number, path))
        return number
