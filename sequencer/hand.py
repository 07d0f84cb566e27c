"""A sequence in one server's hand: what it knows, what is asked, what it is about to append."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from sequencer.definition import Definition
from sequencer.entry import Entry, Tip, Witness
from sequencer.ledger import Stamp


@dataclass(slots=True)
class Hand:
    """A sequence as this server knows it.

    `lost` are witnesses of entries that the log does not have. `is_fresh` says that
    the log was looked at since the present round began. `taken` is what callers
    took on `day`.
    """

    definition: Definition
    tip: Tip
    lost: tuple[Witness, ...] = ()
    is_fresh: bool = False
    is_busy: bool = False
    asks: list[Ask] = field(default_factory=list)
    day: datetime | None = None
    taken: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Draft:
    """The entries of one append, as far as they are planned."""

    hand: Hand
    stamp: Stamp
    entries: list[Entry] = field(default_factory=list)

    @property
    def definition(self) -> Definition:
        """The sequence."""
        return self.hand.definition

    @property
    def tip(self) -> Tip:
        """What will be true after the entries."""
        return self.entries[-1].tip if self.entries else self.hand.tip

    def add(self, entry: Entry) -> Entry:
        """Plan one more."""
        self.entries.append(entry)
        return entry

    def demand_fresh(self) -> None:
        """See to it that the plan is made on what other servers have appended by now.

        Raises:
            Stale: the log is to be looked at first.
        """
        if not self.hand.is_fresh:
            raise Stale


class Stale(Exception):  # noqa: N818 - what became of the tip, not a failure
    """The plan needs to know what other servers have appended."""


Plan = Callable[[Draft], Awaitable[Entry | None]]
"""Plans an entry in a draft, or finds that none is needed. It may be asked again."""


@dataclass(slots=True)
class Ask:
    """Something asked of a sequence: the plan of its entry, and who waits for that."""

    plan: Plan
    answer: asyncio.Future[tuple[Definition, Entry | None]]

    def refuse(self, error: Exception) -> None:
        """Answer by an error, unless nobody waits any more."""
        if not self.answer.done():
            self.answer.set_exception(error)
