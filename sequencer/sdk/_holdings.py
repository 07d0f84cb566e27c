"""Ids that were leased and not yet used, in the order in which they were leased."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import cast

from sequencer.sdk._chain import RangeIterator, iterate
from sequencer.sdk._source import Lease

PIECE = 65_536
"""Most ids that are taken out of the queue at once, and so lost when the process is killed."""

Note = Callable[[Lease, int, int], None]
"""Hears how many ids of a lease count as used, and how many of them a kill may now lose.

It does so before the first of them is used.
"""


@dataclass(slots=True)
class _Span:
    """The ids of a lease from the one after the first `used` on."""

    lease: Lease
    used: int

    @property
    def size(self) -> int:
        return self.lease.size - self.used


_Blocks = tuple[int, Iterator[range], RangeIterator]
"""Size of blocks, an iterator of them, and the iterator of their starts, which ends that one."""


class Holdings:
    """A queue of leases, and before it the piece that ids are taken from.

    Of the piece's ids some are ready to be taken in one step of C, without a lock:
    by `live` one by one, or by the iterator in `blocks` in blocks of one size; the
    others are `left`. All methods need a lock of their user's; since the
    iterators shrink at any moment, what they have can be relied on only after
    `retire`. An exception of a signal handler may end a method anywhere: ids may be
    lost by that, but none comes twice and the rest stays in order.
    """

    __slots__ = (
        "_end",
        "_lease",
        "_note",
        "_spans",
        "_step",
        "_stop",
        "blocks",
        "left",
        "live",
    )

    def __init__(self, note: Note | None = None) -> None:
        self._note = note
        self.live: RangeIterator = iterate(range(0))
        self.blocks: _Blocks = (0, iter(()), self.live)
        self.left = 0
        self._lease: Lease | None = None  # the piece's; it ends before the lease's id number _stop
        self._stop = 0
        self._end = 0  # the id there
        self._step = 1
        self._spans: list[_Span] = []

    @property
    def waiting(self) -> int:
        """Ids in the queue."""
        return sum([span.size for span in self._spans])

    def has_waiting(self, count: int) -> bool:
        """Whether the queue has that many ids."""
        return self.waiting >= count

    def ready_for(self, count: int) -> bool:
        """Whether blocks of `count` ids in all can be cut."""
        self.retire()
        return self.left + self.waiting >= count

    @property
    def live_size(self) -> int:
        """Ids left in the live form of the piece."""
        return self.live.__length_hint__()

    @property
    def total(self) -> int:
        """All ids held."""
        size, _, starts = self.blocks
        in_blocks = size * starts.__length_hint__()
        return self.waiting + self.left + self.live_size + in_blocks

    def put(self, lease: Lease) -> None:
        """Add a lease, which is newer than all that is held."""
        self._spans.append(_Span(lease, 0))

    def open(self, most: int) -> None:
        """Make the next ids of the queue, which has some, the piece, which is used up."""
        span = self._spans[0]
        lease, used = span.lease, span.used
        stop = min(used + most, lease.size)
        if self._note is not None:
            lost = min(stop - used, PIECE)  # of a larger piece all is for the call that opens it
            self._note(lease, stop, lost)
        span.used = stop
        if stop == lease.size:
            del self._spans[0]
        self._lease, self._stop, self._step = lease, stop, lease.increment
        self._end = lease.first + stop * lease.increment
        self.left = stop - used  # last: before it nothing is taken by what stands above

    def cut(self, count: int) -> range:
        """The first `count` of the ids that are `left`."""
        left, end, step = self.left, self._end, self._step
        self.left = rest = left - count
        return range(end - left * step, end - rest * step, step)

    def revive(self) -> None:
        """Make all ids that are `left` ready to be taken one by one."""
        self.live = iterate(self.cut(self.left))

    def carve(self, size: int) -> None:
        """Make as many of the ids that are `left` as fit ready to be taken in blocks."""
        ids = self.cut(self.left - self.left % size)
        start, stop, step = ids.start, ids.stop, ids.step
        across = size * step
        starts = iterate(range(start, stop, across))
        stops = range(start + across, stop + across, across)
        self.blocks = size, map(range, starts, stops, repeat(step)), starts

    def retire(self) -> None:
        """Have ids that are ready be `left` again, so that all are taken in one order."""
        size, _, starts = self.blocks
        ready = emptied(self.live) + emptied(starts) * size
        self.left += ready

    def seal(self) -> None:
        """Put the piece back into the queue, and tell how far it was used."""
        self.retire()
        left, self.left = self.left, 0
        lease, self._lease = self._lease, None
        if lease is None:
            return
        used = self._stop - left
        if left and self._spans and self._spans[0].lease is lease:
            self._spans[0].used = used
        elif left:
            self._spans.insert(0, _Span(lease, used))
        if self._note is not None:
            self._note(lease, used, 0)

    def clear(self) -> list[tuple[Lease, int]]:
        """Take out everything: each lease, and how many of its ids were used."""
        self.seal()
        spans, self._spans = self._spans, []
        return [(span.lease, span.used) for span in spans]

    def forget(self) -> int:
        """Drop everything; answers how many ids that were.

        Iterators are emptied in place, for somebody may be at them.
        """
        spans = self.clear()
        if self._note is not None:
            for lease, _ in spans:
                self._note(lease, lease.size, 0)
        return sum(lease.size - used for lease, used in spans)


def emptied(ids: RangeIterator) -> int:
    """Empty an iterator; answers how many ids it had.

    One step in C: no other thread takes an id between the look and the end.
    """
    steps: tuple[Callable[[], int | None], ...] = (
        ids.__length_hint__,
        partial(ids.__setstate__, sys.maxsize),
    )
    left, _ = map(_call, steps)
    return left or 0


_call = cast("Callable[[Callable[[], int | None]], int | None]", operator.call)
