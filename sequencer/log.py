"""The interface of the logs of sequences; every adapter passes the same contract tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from sequencer.entry import Action, Entry, Tip

BACK: Final = frozenset({Action.RETURNED, Action.LOST})
"""What is done, in one append, with a lease that comes back."""

COUNTED: Final = frozenset({Action.GRANTED, Action.RETURNED})
"""What changes how many ids somebody has taken."""


class Superseded(Exception):  # noqa: N818 - what became of the tip, not a failure
    """Nothing was appended: the tip that it was to follow is not the newest, or not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFilter:
    """Which entries are wanted: all by default."""

    caller: str = ""
    since: datetime | None = None
    until: datetime | None = None
    actions: frozenset[Action] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one caller took: ranges, the ids in them, and ids that it returned."""

    leases: int = 0
    granted: int = 0
    returned: int = 0

    @property
    def taken(self) -> int:
        """What it has, all in all."""
        return self.granted - self.returned


class SequenceLog(Protocol):
    """The logs, by the identity of their sequences.

    Errors are `mesh.storage.StorageError`s; after OutcomeUnknown an append may
    have taken place.
    """

    async def tip(self, uid: int) -> Tip | None:
        """What is true after the newest entry; None when there is no entry."""

    async def append(self, uid: int, after: Tip, new: Sequence[Entry]) -> None:
        """Append entries, all or none, if `after` is the tip. Durable when it returns.

        Raises:
            Superseded: it is not.
        """

    async def entry(self, uid: int, number: int) -> Entry | None:
        """The entry of a number, or the next one that is kept; None when there is none."""

    async def returned(self, uid: int, number: int) -> Entry | None:
        """An entry that took the tail of an entry back, or told what of it may be lost.

        None when there is none.
        """

    async def entries(
        self, uid: int, *, before: int, limit: int, only: EntryFilter
    ) -> Sequence[Entry]:
        """Entries, newest first, beginning below a number."""

    async def holding(self, uid: int, position: int, *, before: int, limit: int) -> Sequence[Entry]:
        """Entries whose range holds a position, newest first, beginning below a number."""

    async def usage(self, uid: int, since: datetime, until: datetime) -> Mapping[str, Usage]:
        """What each caller took from `since` on and before `until`."""

    async def purge(self, uid: int, before: datetime, tip: int) -> int:
        """Forget a block of entries from before a moment; how many there were.

        Never the tip, nor one with an entry before it that is kept.
        """
