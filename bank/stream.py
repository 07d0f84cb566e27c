"""Random numbers by place: word `i` of a stream is the same however it is asked for.

Philox is a counter-based generator: seed and stream are its key, the place is its
counter. Any block of customers can therefore be made alone, in any order and size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from bank.normal import Floats

Words = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]

_WORDS_PER_COUNT = 4
_CHOICE_BITS = 16


@dataclass(frozen=True, slots=True)
class Rows:
    """A block of rows: ids `first` to `first + count - 1`."""

    first: int
    count: int

    @property
    def ids(self) -> Integers:
        """The ids."""
        return np.arange(self.first, self.first + self.count, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Streams:
    """The random streams of one bank. A stream is named `entity.column`."""

    seed: int

    def words(self, name: str, rows: Rows) -> Words:
        """One 64-bit word for each row."""
        key = np.array([self.seed, _stream_number(name)], dtype=np.uint64)
        step, skip = divmod(rows.first, _WORDS_PER_COUNT)
        philox = np.random.Philox(key=key, counter=step)
        words: Words = philox.random_raw(skip + rows.count)
        return words[skip:]

    def uniforms(self, name: str, rows: Rows) -> Floats:
        """One number for each row, strictly between 0 and 1."""
        whole = (self.words(name, rows) >> np.uint64(12)).astype(np.float64)
        return (whole + 0.5) * 2.0**-52

    def below(self, bound: int, name: str, rows: Rows) -> Integers:
        """One whole number from 0 to `bound - 1` for each row; `bound` below 2^31."""
        high = self.words(name, rows) >> np.uint64(32)
        return ((high * np.uint64(bound)) >> np.uint64(32)).astype(np.int64)


class Choice:
    """Picks from weighted alternatives with 16 bits for each pick."""

    def __init__(self, weights: Sequence[float] | Floats) -> None:
        cumulative = np.cumsum(np.asarray(weights, dtype=np.float64))
        points = (np.arange(1 << _CHOICE_BITS) + 0.5) / (1 << _CHOICE_BITS)
        self._table = np.searchsorted(cumulative / cumulative[-1], points).astype(np.int32)

    def pick(self, words: Words, part: int) -> npt.NDArray[np.int32]:
        """Index of the alternative, by the `part`-th 16 bits (0 to 3) of each word."""
        bits = (words >> np.uint64(_CHOICE_BITS * part)).astype(np.uint16)
        return self._table[bits]


@cache
def _stream_number(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")
