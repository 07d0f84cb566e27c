"""Keyed bijections: distinct ids give distinct numbers, with nothing to remember."""

from __future__ import annotations

import numpy as np

from bank.stream import Integers, Rows, Streams

_ROUNDS = 4


class Bijection:
    """A permutation of the numbers 0 to `left * right - 1`.

    An alternating Feistel network over mixed radices: each round adds a random
    table, indexed by one half, to the other half. Adding can be undone, so no
    two inputs meet, whatever the tables hold.
    """

    def __init__(self, streams: Streams, name: str, *, left: int, right: int) -> None:
        self._left = left
        self._right = right
        sides = ((left, right), (right, left))
        self._tables = [
            streams.below(bound, f"{name}.round{turn}", Rows(0, size))
            for turn in range(_ROUNDS)
            for bound, size in [sides[turn % 2]]
        ]

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return self._left * self._right

    def apply(self, numbers: Integers) -> Integers:
        """The images of `numbers`, all of which lie in 0 to `size - 1`."""
        high, low = np.divmod(numbers, self._right)
        for turn, table in enumerate(self._tables):
            if turn % 2 == 0:
                high = (high + table[low]) % self._left
            else:
                low = (low + table[high]) % self._right
        return high * self._right + low
