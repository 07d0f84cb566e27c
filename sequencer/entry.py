"""The log of a sequence: what its entries say, and what a place in it proves. Pure.

Allocating is appending. The newest entry, the tip, carries all that is true of
the sequence by then, so that nothing else need be read to append the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

MAX_TAILS: Final = 32
"""Returned ranges that a sequence keeps ready; the smallest is given up for one more."""


class Action(Enum):
    """What an entry did; the numbers are the contract's."""

    GRANTED = 1
    RETURNED = 2
    CREATED = 3
    FENCED = 4
    CHANGED = 5
    LOST = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """Proof of a place in a log: its entry `number` had this `mark`.

    `epoch` is how often the log had been fenced by then, `position` how many
    ids had been granted.
    """

    number: int
    mark: int
    epoch: int
    position: int

    @property
    def age(self) -> tuple[int, int]:
        """Of two witnesses of one log, the newer one has the higher."""
        return self.epoch, self.number


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """Positions `position` … `position + size - 1` that came back unused, from entry `number`."""

    number: int
    position: int
    size: int

    @property
    def stop(self) -> int:
        """The position behind it."""
        return self.position + self.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """What is true of a sequence after its newest entry.

    `position` is where the next new range begins, `fence` where the last jump of
    the fence ended, `tails` what came back and was not granted again.
    """

    number: int
    mark: int
    epoch: int
    position: int
    fence: int = 0
    tails: tuple[Tail, ...] = ()

    @property
    def witness(self) -> Witness:
        """Proof of it."""
        return Witness(number=self.number, mark=self.mark, epoch=self.epoch, position=self.position)

    @property
    def returned(self) -> int:
        """Ids in the tails."""
        return sum(tail.size for tail in self.tails)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry: what was done to positions `position` … `position + size - 1`, and the tip since.

    `holder` is "actor/client", unique over all callers. `source` is the number of
    the entry whose range this one is cut from, 0 for none.
    """

    tip: Tip
    action: Action
    position: int
    size: int
    holder: str
    time: datetime
    source: int = 0
    note: str = ""

    @property
    def number(self) -> int:
        """Its place in the log."""
        return self.tip.number

    @property
    def stop(self) -> int:
        """The position behind its range."""
        return self.position + self.size

    @property
    def caller(self) -> str:
        """Who did it, whatever client id it gave."""
        return self.holder.partition("/")[0]

    @property
    def client_id(self) -> str:
        """The client id that it gave."""
        return self.holder.partition("/")[2]

    @property
    def taken(self) -> int:
        """By how many ids its caller has more since; less than 0 when it returned some."""
        signs = {Action.GRANTED: 1, Action.RETURNED: -1}
        return signs.get(self.action, 0) * self.size
