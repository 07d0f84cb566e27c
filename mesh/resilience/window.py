"""What became of the requests of the last ten seconds, in small steps of time."""

from __future__ import annotations

from typing import Final

WINDOW_S: Final = 10.0
BUCKETS: Final = 40
BUCKET_S: Final = WINDOW_S / BUCKETS


class Window:
    """Counts requests, and those of them that were accepted; older ones are forgotten.

    Args:
        now: the present, in seconds of a clock that never steps back.
        accepts: requests that were accepted before, spread evenly over the window.
    """

    __slots__ = ("_accepts", "_at", "_requests", "accepts", "requests")

    def __init__(self, now: float, accepts: int = 0) -> None:
        each, rest = divmod(accepts, BUCKETS)
        self._at = int(now / BUCKET_S)
        self._accepts = [each] * BUCKETS
        self._accepts[self._at % BUCKETS] += rest
        self._requests = self._accepts[:]
        self.requests = self.accepts = accepts

    def add(self, now: float, *, accepted: bool) -> None:
        """Count one request."""
        self.roll(now)
        bucket = self._at % BUCKETS
        self._requests[bucket] += 1
        self.requests += 1
        if accepted:
            self._accepts[bucket] += 1
            self.accepts += 1

    def roll(self, now: float) -> None:
        """Forget what is older than the window."""
        at = int(now / BUCKET_S)
        for passed in range(self._at + 1, min(at, self._at + BUCKETS) + 1):
            bucket = passed % BUCKETS
            self.requests -= self._requests[bucket]
            self.accepts -= self._accepts[bucket]
            self._requests[bucket] = self._accepts[bucket] = 0
        self._at = max(at, self._at)
