"""What is known of the numbers of a GAPLESS sequence. Pure.

Numbers are counted in positions, as everywhere in the sequencer. Positions in a
row of which the same is true are one *run*; the runs of a sequence lie side by
side from position 0 to the head's, so that each position is in exactly one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Final

from sequencer.entry import Witness

MAX_COUNT: Final = 1_000
"""Numbers that one call may be about."""

Positions = frozenset[int]


class Fate(Enum):
    """What became of a number. One that is FREE is reissued, the lowest first."""

    CONFIRMED = 0
    FREE = 1
    RESERVED = 2
    VOID = 3
    LOST_TRACK = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Positions `position` … `position + size - 1`.

    `mark` is that of the change that issued them for the first time. `reservation`
    and `token` are those of the reservation that they belong to, 0 for none, and
    `whole` is how many numbers that has, without those given back. A FREE run with
    a token has expired: its holder may confirm it until somebody else gets it.
    """

    position: int
    size: int
    mark: int
    fate: Fate
    holder: str
    since: datetime
    expire: datetime
    reservation: int = 0
    token: int = 0
    whole: int = 0
    reason: str = ""

    @property
    def stop(self) -> int:
        """The position behind it."""
        return self.position + self.size

    @property
    def positions(self) -> range:
        """Its positions."""
        return range(self.position, self.stop)

    def has_expired(self, now: datetime) -> bool:
        """Whether its lease ran out, though its holder did not give it back."""
        if self.fate is Fate.RESERVED:
            return self.expire <= now
        return self.fate is Fate.FREE and self.token != 0

    def pieces(self, chosen: Positions | None) -> Iterator[tuple[Run, bool]]:
        """The run cut into pieces that lie within `chosen` and such that do not; None: all do."""
        if chosen is None:
            yield self, True
            return
        begin, inside = self.position, self.position in chosen
        for position in range(self.position + 1, self.stop):
            if (position in chosen) is not inside:
                yield replace(self, position=begin, size=position - begin), inside
                begin, inside = position, not inside
        yield replace(self, position=begin, size=self.stop - begin), inside


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where a sequence stands.

    `number` rises with every change, `position` is the first that was never
    issued, `mark` that of the change that issued the one before it. `epoch` is how
    often the store was found put back, and `fence` the position by then. `due` is a
    moment before which no lease runs out; None when none runs.
    """

    number: int = 0
    mark: int = 0
    epoch: int = 0
    position: int = 0
    fence: int = 0
    due: datetime | None = None

    @property
    def witness(self) -> Witness:
        """Proof of it."""
        return Witness(number=self.number, mark=self.mark, epoch=self.epoch, position=self.position)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to be stored: the head, runs as they are now, and new ones.

    With `doubted` every run that is FREE or RESERVED becomes LOST_TRACK.
    """

    head: Head
    changed: tuple[Run, ...] = ()
    added: tuple[Run, ...] = ()
    doubted: datetime | None = None
