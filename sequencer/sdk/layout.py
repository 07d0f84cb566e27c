"""How a snowflake id is put together, and how it is taken apart again.

    layout = Layout()
    layout.decode(1_234_567_890_123)   # when it was made, by which worker

From the highest bit to the lowest: time in ticks since the epoch, worker id,
number within the tick. Nothing here ever spills from one part into the next.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

MAX_BITS: Final = 63
"""Bits of an id that is never negative."""

JS_SAFE_BITS: Final = 53
"""Bits of an id that JavaScript and spreadsheets keep exactly."""

_DAY_MS: Final = 86_400_000
_MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """The parts of an id: when it was made, UTC and in ticks, by which worker, its number."""

    time: datetime
    tick: int
    worker_id: int
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Bits of each part, the length of a tick, and when time began.

    The default makes 4,096 ids a millisecond and worker until 2095.
    """

    time_bits: int = 41
    worker_bits: int = 10
    sequence_bits: int = 12
    tick_ms: int = 1
    epoch: datetime = field(default=datetime(2026, 1, 1, tzinfo=UTC))

    @property
    def bits(self) -> int:
        """Bits of an id."""
        return self.time_bits + self.worker_bits + self.sequence_bits

    @property
    def ticks(self) -> int:
        """Ticks that there are: the first one that an id cannot have."""
        return 1 << self.time_bits

    @property
    def workers(self) -> int:
        """Worker ids that there are."""
        return 1 << self.worker_bits

    @property
    def per_tick(self) -> int:
        """Ids of one worker in one tick."""
        return 1 << self.sequence_bits

    def block(self, tick: int, worker_id: int) -> range:
        """All ids of a worker in a tick.

        Raises:
            ValueError: there is no such tick or worker.
        """
        if not (0 <= tick < self.ticks and 0 <= worker_id < self.workers):
            raise ValueError(f"tick {tick} of worker {worker_id} does not fit into the layout")
        first = (tick << self.worker_bits | worker_id) << self.sequence_bits
        return range(first, first + self.per_tick)

    def decode(self, id_: int) -> Decoded:
        """The parts of an id.

        Raises:
            ValueError: it is negative, or has more bits than the layout.
        """
        if id_ < 0 or id_ >> self.bits:
            raise ValueError(f"{id_} is not an id of {self.bits} bits")
        rest, sequence = divmod(id_, self.per_tick)
        tick, worker_id = divmod(rest, self.workers)
        return Decoded(time=self.time_of(tick), tick=tick, worker_id=worker_id, sequence=sequence)

    def tick_at(self, moment: datetime) -> int:
        """The tick of a point in time; negative before the epoch."""
        return (moment - self.epoch) // (self.tick_ms * _MILLISECOND)

    def time_of(self, tick: int) -> datetime:
        """When a tick begins, UTC; the end of the calendar for one beyond it."""
        try:
            return self.epoch + tick * self.tick_ms * _MILLISECOND
        except OverflowError:
            return datetime.max.replace(tzinfo=UTC)

    def ticks_in(self, seconds: float) -> int:
        """Ticks in a length of time, rounded up."""
        return -int(-seconds * 1000 // self.tick_ms)

    def days_left(self, tick: int) -> int:
        """Whole days from a tick until the time bits run out."""
        return (self.ticks - tick) * self.tick_ms // _DAY_MS
