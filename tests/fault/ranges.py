"""What takers of ids were given, and whether it is what the kind of their sequence promises.

A hundred million ids are too many to keep one by one: a history has a line for each
time that some were taken, with the ranges they came in. Times are of the monotonic clock,
which all processes of a machine share.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

Table = npt.NDArray[np.int64]

MOST_TOLD: Final = 3
END: Final = " ."
"""Tells a line that is whole from one that a kill cut off."""


class Takings:
    """The file of one taker, as a context manager: a line for each time that it took ids.

    Each line is written through: it outlives the process.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Self:
        begun = self._path.exists()
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        if begun:
            os.write(self._file, b"\n")  # ends what a killed process began to write
        os.write(self._file, b"life\n")
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def note(self, began: int, taken: Iterable[range]) -> int:
        """Note ids that were asked for at `began` and are there now; how many."""
        ranges = [ids for ids in taken if len(ids)]
        numbers = " ".join(f"{ids.start} {ids[-1]}" for ids in ranges)
        os.write(self._file, f"{began} {time.monotonic_ns()} {numbers}{END}\n".encode())
        return sum(map(len, ranges))


def runs(ids: Sequence[int]) -> list[range]:
    """Ids as ranges of neighbours, in their order."""
    found: list[range] = []
    begin = 0
    for place in range(1, len(ids) + 1):
        if place == len(ids) or ids[place] != ids[place - 1] + 1:
            found.append(range(ids[begin], ids[place - 1] + 1))
            begin = place
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What several takers were given: a row for each range.

    Columns: taker's life, asked at, there at, first id, last id.
    """

    rows: Table

    @classmethod
    def read(cls, paths: Iterable[Path]) -> Self:
        """The takings in some files."""
        rows: list[tuple[int, ...]] = []
        life = 0
        for path in sorted(paths):
            for line in path.read_bytes().splitlines():
                if line == b"life":
                    life += 1
                elif (numbers := _numbers(line)) is not None:
                    began, ended, *pairs = numbers
                    rows += [
                        (life, began, ended, first, last)
                        for first, last in zip(pairs[::2], pairs[1::2], strict=True)
                    ]
        return cls(rows=np.array(rows, dtype=np.int64).reshape(-1, 5))

    @property
    def ids(self) -> int:
        """How many ids there are."""
        return int((self.rows[:, 4] - self.rows[:, 3] + 1).sum())

    def doubled(self) -> list[str]:
        """Ids that were given twice."""
        ordered = self.rows[np.lexsort((self.rows[:, 4], self.rows[:, 3]))]
        reach = np.maximum.accumulate(ordered[:, 4])
        again = np.flatnonzero(ordered[1:, 3] <= reach[:-1]) + 1
        return _told("given twice, from", ordered[again, 3])

    def falling(self) -> list[str]:
        """Ids that are not above those that the same life of a taker had before."""
        wrong: list[Any] = []
        for life in np.unique(self.rows[:, 0]):
            own = self.rows[self.rows[:, 0] == life]
            wrong += own[1:][own[1:, 3] <= own[:-1, 4], 3].tolist()
        return _told("not above what its taker had before, from", wrong)

    def out_of_order(self) -> list[str]:
        """Ids that are not above those that anybody had before these were asked for."""
        by_end = self.rows[np.argsort(self.rows[:, 2], kind="stable")]
        highest = np.maximum.accumulate(by_end[:, 4])
        before = np.searchsorted(by_end[:, 2], self.rows[:, 1], side="left") - 1
        bound = np.where(before >= 0, highest[np.maximum(before, 0)], np.iinfo(np.int64).min)
        return _told("lower than what was answered before", self.rows[self.rows[:, 3] <= bound, 3])

    def negative(self) -> list[str]:
        """Ids below 0."""
        return _told("negative", self.rows[self.rows[:, 3] < 0, 3])


def _numbers(line: bytes) -> list[int] | None:
    """The numbers of a line; None of one that a kill cut off."""
    if not line.endswith(END.encode()):
        return None
    return [int(word) for word in line.removesuffix(END.encode()).split()]


def _told(what: str, values: Any) -> list[str]:
    found = list(values)
    if not found:
        return []
    shown = ", ".join(str(value) for value in found[:MOST_TOLD])
    return [f"{what}: {len(found)} ranges ({shown}{', …' if len(found) > MOST_TOLD else ''})"]
