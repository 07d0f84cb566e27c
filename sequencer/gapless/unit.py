"""The interface of where numbers are kept."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from google.protobuf.message import Message

from sequencer.entry import Witness
from sequencer.gapless.numbers import Change, Head, Run


class Unit(Protocol):
    """One transaction over one sequence; nobody else changes the sequence meanwhile."""

    async def head(
        self, witnesses: Sequence[Witness]
    ) -> tuple[Head, Sequence[tuple[Witness, int | None]]]:
        """Where the sequence stands, and each of at most two witnesses with the mark found."""

    async def free(self, most: int) -> Sequence[Run]:
        """The lowest free runs."""

    async def held(self, reservation: int, token: int) -> Sequence[Run]:
        """The runs of a reservation."""

    async def around(self, positions: Sequence[int]) -> Sequence[Run]:
        """The runs that some rising positions lie in."""

    async def expire(self, now: datetime) -> datetime | None:
        """Free what ran out; when the next lease does, None when none runs."""

    async def apply(self, change: Change) -> None:
        """Store a change of what was read."""

    def answer(self, message: Message) -> None:
        """The answer of the call that this is the effect of."""


class Numbers(Protocol):
    """Where the numbers of all sequences are kept."""

    def unit(self, sequence: int) -> AbstractAsyncContextManager[Unit]:
        """A transaction over one sequence; durable when the block has ended."""
