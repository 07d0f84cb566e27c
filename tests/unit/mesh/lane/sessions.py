"""A session that tests of carriers move by hand."""

from __future__ import annotations

from collections import deque
from contextvars import ContextVar
from typing import Any

from mesh.lane.carrier import Carrier
from mesh.lane.frames import MAX_BATCH, Buffer, LaneError

mark: ContextVar[str] = ContextVar("mark", default="")
"""What a call carries in its context."""


class Session:
    """Either end of a lane, as a carrier sees it; says what the test gives it."""

    def __init__(self) -> None:
        self.batches: deque[bytes] = deque()
        self.fed: list[bytes] = []
        self.signs = 0
        self.problems: list[str] = []
        self.ends: list[str] = []
        self.marks: set[str] = set()
        self.refuses = b""
        self.looks = 0
        self.carrier: Any = None

    @property
    def max_batch(self) -> int:
        self.looks += 1
        return MAX_BATCH

    @property
    def pending(self) -> bool:
        return bool(self.batches)

    def take(self) -> bytes:
        self.marks.add(mark.get())
        return self.batches.popleft()

    def heard(self) -> None:
        self.signs += 1

    def feed(self, data: Buffer) -> None:
        if self.refuses and bytes(data) == self.refuses:
            raise LaneError("refused")
        self.fed.append(bytes(data))

    def attach(self, carrier: Carrier) -> None:
        self.carrier = carrier

    def fail(self, error: LaneError) -> None:
        self.problems.append(str(error))
        self.carrier.close()

    def detached(self, carrier: Carrier, error: LaneError) -> None:
        self.ends.append(str(error))
