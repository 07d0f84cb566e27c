"""Ids that were leased and not yet used, in rising order."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from sequencer.sdk._chain import RangeIterator, iterate
from sequencer.sdk._source import Lease

PIECE = 1024
"""Ids between two looks at the level; few enough to be moved as a list (`retire`)."""


@dataclass(slots=True)
class _Span:
    """Ids `first` … `stop - 1` of one lease."""

    first: int
    stop: int
    lease_number: int


class Holdings:
    """A queue of ranges, and before it the live piece that a chain takes ids from.

    All methods need a lock of their user's; the live piece shrinks without it at
    any moment, so what is left of it can be relied on only after `retire`. An
    exception of a signal handler may end a method anywhere: ids may be lost by
    that, but none comes twice and the rest stays in order.
    """

    def __init__(self) -> None:
        self.live: RangeIterator = iterate(range(0))
        self._live_lease = 0
        self._spans: deque[_Span] = deque()

    @property
    def waiting(self) -> int:
        """Ids in the queue."""
        return sum(span.stop - span.first for span in self._spans)

    def has_waiting(self, count: int) -> bool:
        """Whether the queue has that many ids; looks at no more of it than it must."""
        for span in reversed(self._spans):
            if count <= 0:
                break
            count -= span.stop - span.first
        return count <= 0

    @property
    def live_size(self) -> int:
        """Ids left in the live piece."""
        return self.live.__length_hint__()

    @property
    def total(self) -> int:
        """All ids held."""
        return self.waiting + self.live_size

    def put(self, lease: Lease) -> None:
        """Add a lease, which is above all that is held."""
        self._spans.append(_Span(lease.first, lease.stop, lease.number))

    def advance(self) -> None:
        """Make the next ids of the queue, which has some, the live piece, which has run out."""
        self._live_lease = self._spans[0].lease_number
        self.live = iterate(self._cut(PIECE))

    def ready_for(self, count: int) -> bool:
        """Whether `ranges(count)` can be taken."""
        self.retire()
        return self.waiting >= count

    def ranges(self, count: int) -> list[range]:
        """Take out the lowest `count` ids, right after `ready_for` said so."""
        taken = []
        while count:
            taken.append(self._cut(count))
            count -= len(taken[-1])
        return taken

    def retire(self) -> None:
        """Put the rest of the live piece back, so that ids taken in blocks rise as well."""
        rest = list(self.live)  # one step in C: no other thread takes an id meanwhile
        if rest:
            self._spans.appendleft(_Span(rest[0], rest[-1] + 1, self._live_lease))

    def clear(self) -> dict[int, int]:
        """Take out everything: the first unused id of each lease, by its number."""
        self.retire()
        tails: dict[int, int] = {}
        for span in self._spans:
            tails.setdefault(span.lease_number, span.first)
        self._spans.clear()
        return tails

    def forget(self) -> None:
        """Drop everything. The live piece is emptied in place, for a chain may be at it."""
        self.live.__setstate__(PIECE)
        self._spans.clear()

    def _cut(self, most: int) -> range:
        span = self._spans[0]
        ids = range(span.first, min(span.first + most, span.stop))
        span.first = ids.stop
        if ids.stop == span.stop:
            self._spans.popleft()
        return ids
