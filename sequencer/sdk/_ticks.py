"""The time that goes into ids, and the ticks of it that are used. No lock, no wait."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import Final

from sequencer.sdk._errors import SequencerUnavailable
from sequencer.sdk._worker import Worker

NANO: Final = 1_000_000_000

AHEAD_MS: Final = 10
"""How far a burst may run ahead of the time, so that who waits for more can sleep meanwhile."""

SLEW_NS: Final = 30_000_000_000
"""What this process is ahead of the server's time is made up for within that, ..."""

SLOWEST: Final = 8
"""... but a tick becomes longer by the eighth part at most."""


@dataclass(frozen=True, slots=True)
class IdTime:
    """A server's time, counted on by this process's monotonic clock.

    Tick `base_tick` began at `base_ns`; each takes `tick_ns`. It is off by at most
    the round trip in which the time was told, plus what the clocks have drifted
    apart since, and never steps back.
    """

    base_tick: int
    base_ns: int
    tick_ns: int

    def tick(self, now_ns: int) -> int:
        """The tick at a moment."""
        return self.base_tick + max(0, now_ns - self.base_ns) // self.tick_ns

    def begin_ns(self, tick: int) -> int:
        """When a tick begins."""
        return self.base_ns + (tick - self.base_tick) * self.tick_ns

    def corrected(self, told: int, sent_ns: int, now_ns: int, tick_ns: int) -> IdTime:
        """After the server has told its tick anew, asked at `sent_ns`: it has passed by now.

        Jumps forward when it is certainly behind; when it is certainly ahead each
        tick takes longer for a while.
        """
        tick = self.tick(now_ns)
        if tick < told:
            return IdTime(told, now_ns, tick_ns)
        ahead = max(0, tick - IdTime(told, sent_ns, tick_ns).tick(now_ns))
        longer = min(tick_ns // SLOWEST, ahead * tick_ns**2 // SLEW_NS)
        return IdTime(tick, self.begin_ns(tick), tick_ns + longer)


def nanos(seconds: float) -> int:
    """Whole nanoseconds."""
    return round(seconds * NANO)


class Ticks:
    """Opens ticks, each one once, in rising order, within the window of the worker that is held.

    That is what makes ids unique and rising, whatever the clocks do.
    """

    def __init__(self) -> None:
        self.worker: Worker | None = None
        self.last_tick = -1
        self._time = IdTime(0, 0, 1)

    def hold(self, worker: Worker, sent_ns: int, now_ns: int) -> None:
        """Go on with a worker, or a longer window of the same; asked for at `sent_ns`, got now.

        Raises:
            SequencerUnavailable: the window begins before the last tick used.
        """
        held, tick_ns = self.worker, worker.layout.tick_ms * 1_000_000
        if held and (held.worker_id, held.token) == (worker.worker_id, worker.token):
            self._time = self._time.corrected(worker.now_tick, sent_ns, now_ns, tick_ns)
            until_tick = max(held.until_tick, worker.until_tick)
            self.worker = replace(held, until_tick=until_tick, now_tick=worker.now_tick)
            return
        if worker.from_tick <= self.last_tick:
            raise SequencerUnavailable("The sequencer leased a window that this client had before")
        self._time = IdTime(max(worker.now_tick, worker.from_tick), now_ns, tick_ns)
        self.worker = worker

    def delay_s(self, now_ns: int) -> float:
        """Seconds until the next tick may be opened; infinite when there is no window for it."""
        worker = self.worker
        if worker is None or self._next(worker, now_ns) >= worker.until_tick:
            return inf
        ahead = max(AHEAD_MS // worker.layout.tick_ms, 1)
        tick = self._next(worker, now_ns)
        if tick - self._time.tick(now_ns) <= ahead:
            return 0.0
        return (self._time.begin_ns(tick - ahead // 2) - now_ns) / NANO

    def open(self, now_ns: int) -> tuple[range, int]:
        """The ids of the next tick, and when it ends. Only when `delay_s` said 0."""
        worker = self.worker
        assert worker is not None, "nothing may be opened without a worker"
        tick = self._next(worker, now_ns)
        assert worker.from_tick <= tick < worker.until_tick, "outside the window"
        self.last_tick = tick
        return worker.layout.block(tick, worker.worker_id), self._time.begin_ns(tick + 1)

    def now(self, now_ns: int) -> int:
        """The present tick, or the one that is used already if that is ahead."""
        return max(self._time.tick(now_ns), self.last_tick)

    def left_s(self, now_ns: int) -> float:
        """Seconds until the window ends; 0 without one."""
        if self.worker is None:
            return 0.0
        return max(0.0, (self._time.begin_ns(self.worker.until_tick) - now_ns) / NANO)

    def _next(self, worker: Worker, now_ns: int) -> int:
        return max(self._time.tick(now_ns), self.last_tick + 1, worker.from_tick)
