"""The interface of where numbers are kept."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from google.protobuf.message import Message

from sequencer.entry import Witness
from sequencer.gapless.numbers import Change, Head, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Free:
    """The lowest free runs, at most so many."""

    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRuns:
    """The runs of a reservation, for who knows its token."""

    reservation: int
    token: int


Wanted: TypeAlias = Free | HeldRuns | None
"""Runs that are read together with the head."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Where a sequence stands, each witness with the mark found for it, and the wanted runs."""

    head: Head
    found: Sequence[tuple[Witness, int | None]]
    runs: Sequence[Run]


class Unit(Protocol):
    """One transaction over one sequence; nobody else changes the sequence meanwhile."""

    async def look(self, witnesses: Sequence[Witness], wanted: Wanted) -> Look:
        """Where the sequence stands, what of at most two witnesses is there, and wanted runs."""

    async def free(self, most: int) -> Sequence[Run]:
        """The lowest free runs."""

    async def around(self, positions: Sequence[int]) -> Sequence[Run]:
        """The runs that some rising positions lie in."""

    async def expire(self, now: datetime) -> datetime | None:
        """Free what ran out; when the next lease does, None when none runs."""

    async def take(self, caller: str, day: str, count: int) -> int:
        """Count numbers that a caller reserves; how many it has by then on that day."""

    async def apply(self, change: Change) -> None:
        """Store a change of what was read."""

    def answer(self, message: Message) -> None:
        """The answer of the call that this is the effect of."""


class Numbers(Protocol):
    """Where the numbers of all sequences are kept."""

    def unit(self, sequence: int) -> AbstractAsyncContextManager[Unit]:
        """A transaction over one sequence; durable when the block has ended."""
