"""The ids of the tick that is open, and the function that takes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sequencer.sdk._chain import RangeIterator, iterate

PIECE: Final = 1024
"""Ids that `next_id` is given at a time; few enough to be moved as a list."""

_NOTHING: Final = range(0)

_SetLive = Callable[[RangeIterator, float], None]


def _hot(
    monotonic: Callable[[], float], advance: Callable[[], int]
) -> tuple[Callable[[], int], _SetLive]:
    """`next_id`, and what sets the ids that it takes, and until when it may.

    A look at the clock and one step of an iterator in C. A thread that is held up
    between the two takes an unused id of a tick that has passed meanwhile: within
    the window, and lower than all ids that were asked for after it.
    """
    ids, end_s = iterate(_NOTHING), 0.0

    def next_id() -> int:
        if monotonic() < end_s:
            for id_ in ids:
                return id_
        return advance()

    def set_live(new_ids: RangeIterator, new_end_s: float) -> None:
        nonlocal ids, end_s
        ids = new_ids  # first: until the new end is seen, an id of either block may be taken
        end_s = new_end_s

    return next_id, set_live


class OpenTick:
    """A live piece of the tick's ids, which `next_id` takes, and the block that is behind it.

    All methods need a lock of their user's; the live piece shrinks without it at
    any moment. An exception of a signal handler may end a method anywhere: ids may
    be lost by that, but none comes twice and the rest stays in order.

    Args:
        monotonic: seconds that never step back.
        advance: what `next_id` answers once there are no more ids, or their time is over.
    """

    def __init__(self, monotonic: Callable[[], float], advance: Callable[[], int]) -> None:
        self.live: RangeIterator = iterate(_NOTHING)
        self.next_id, self._set_hot = _hot(monotonic, advance)
        self._block = _NOTHING
        self._end_s = 0.0

    def begin(self, block: range, end_s: float) -> None:
        """Give out the ids of a tick, until that ends."""
        self._block, self._end_s = block, end_s
        self._move_up()

    def has_ids(self, now_s: float) -> bool:
        """Whether there is a live id by now; the next piece is made live if need be."""
        if now_s >= self._end_s:
            return False
        if not self.live.__length_hint__() and self._block:
            self._move_up()
        return bool(self.live.__length_hint__())

    def cut(self, count: int) -> range:
        """Take out the lowest ids, `count` at most."""
        left = list(self.live)  # one step in C: no other thread takes an id meanwhile
        rest = range(left[0], left[-1] + 1 + len(self._block)) if left else self._block
        part, self._block = rest[:count], rest[count:]
        return part

    def stop(self) -> None:
        """Give out no more. The live piece is emptied in place, for a thread may be at it."""
        self.live.__setstate__(PIECE)
        self.begin(_NOTHING, 0.0)

    def _move_up(self) -> None:
        piece, self._block = self._block[:PIECE], self._block[PIECE:]
        self.live = iterate(piece)
        self._set_hot(self.live, self._end_s)
