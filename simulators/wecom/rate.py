"""How often a corporation may call a method, counted as WeCom does: by the minute and the hour."""

from __future__ import annotations

from collections.abc import Iterable

from mesh.clock import Clock
from mesh.errors import MeshError
from simulators.errors import SimulatorReason


class CallRate:
    """Counts the calls of one method in windows that follow one another.

    Args:
        rates: windows as (seconds, calls allowed).
        clock: measures the windows; they are forgotten when the process ends.
    """

    def __init__(self, rates: Iterable[tuple[float, int]], clock: Clock) -> None:
        self._clock = clock
        self._windows = [_Window(seconds, allowed) for seconds, allowed in rates]

    def take(self) -> None:
        """Count a call.

        Raises:
            MeshError: CALL_RATE_EXCEEDED; it is not counted.
        """
        now = self._clock.monotonic()
        wait_s = max((window.wait_s(now) for window in self._windows), default=0.0)
        if wait_s > 0:
            raise MeshError(SimulatorReason.CALL_RATE_EXCEEDED, retry_after_s=wait_s)
        for window in self._windows:
            window.count += 1


class _Window:
    __slots__ = ("allowed", "count", "seconds", "start")

    def __init__(self, seconds: float, allowed: int) -> None:
        self.seconds = seconds
        self.allowed = allowed
        self.start = 0.0
        self.count = 0

    def wait_s(self, now: float) -> float:
        """Seconds until a call is allowed; 0 when it is now."""
        if now - self.start >= self.seconds:
            self.start = now
            self.count = 0
        return 0.0 if self.count < self.allowed else self.start + self.seconds - now
