"""One sequence, as its users see it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sequencer.sdk._buffer import IdBuffer
from sequencer.sdk._errors import SequenceEmpty

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceStats:
    """How a sequence fares in this process.

    `waits` counts how often a user found no ids; `covered_s` is how many
    seconds the ids held last at the present rate, infinite when none are used.
    """

    held: int
    rate_per_s: float
    waits: int
    leases: int
    covered_s: float


class Sequence:
    """Ids of one sequence; got from `Sequencer.sequence`.

    `next_id()` answers the next id. It runs in C, so bind it to a local name in
    a hot loop (`next_id = sequence.next_id`). When no id is held it blocks the
    thread up to the client's `timeout_s`, or raises SequenceEmpty at once on a
    running event loop. A signal handler or finalizer may take ids too; it gets
    SequenceEmpty, and catches it, when it has interrupted its own thread in here.

    All ways to take ids raise `SequencerError`s: SequenceEmpty,
    SequenceExhausted, SequenceNotFound, SequencerUnavailable, or the root
    itself when the client is closed or refused.
    """

    __slots__ = ("_buffer", "_stats", "_timeout_s", "name", "next_id")

    def __init__(
        self, buffer: IdBuffer, *, timeout_s: float, stats: Callable[[], SequenceStats]
    ) -> None:
        self.name = buffer.name
        self.next_id: Callable[[], int] = buffer.next_id
        self._buffer = buffer
        self._timeout_s = timeout_s
        self._stats = stats

    async def next_id_async(self) -> int:
        """The next id; waits up to the client's `timeout_s` when none is held."""
        try:
            return self.next_id()
        except SequenceEmpty:
            return await self._retried(self.next_id)

    def next_ids(self, count: int) -> list[range]:
        """Ranges with `count` ids in all, rising. Waits and raises as `next_id` does.

        Either all of them are taken or none.

        Raises:
            ValueError: `count` is negative or above 2³².
        """
        return self._buffer.ranges(count)

    async def next_ids_async(self, count: int) -> list[range]:
        """`next_ids`, waiting as `next_id_async` does."""
        try:
            return self.next_ids(count)
        except SequenceEmpty:
            return await self._retried(lambda: self.next_ids(count))

    def stats(self) -> SequenceStats:
        """The present figures."""
        return self._stats()

    async def _retried(self, take: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(self._timeout_s):
                while True:
                    await self._change()
                    try:
                        return take()
                    except SequenceEmpty:
                        continue
        except TimeoutError:
            raise self._buffer.timed_out() from None

    async def _change(self) -> None:
        changed = asyncio.get_running_loop().create_future()
        with self._buffer.watching(changed):
            await changed
