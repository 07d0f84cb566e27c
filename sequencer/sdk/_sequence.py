"""One sequence, as its users see it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any, TypeVar

from sequencer.sdk._buffer import IdBuffer
from sequencer.sdk._errors import SequenceEmpty

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceStats:
    """How a sequence fares in this process.

    Attributes:
        held: ids leased and not yet used.
        rate_per_s: ids used a second, of late.
        waits: how often a user found no ids.
        leases: ranges that were granted.
        covered_s: how many seconds the ids held last at the present rate,
            infinite when none are used.
        refill_latency_s: the longest of the client's last 100 grants, of whichever
            sequence.
        wasted: ids granted that nobody will use: dropped at a fence jump.
        fence_jumps: how often the sequencer turned out to have lost grants, and ids
            held from before were dropped.
    """

    held: int
    rate_per_s: float
    waits: int
    leases: int
    covered_s: float
    refill_latency_s: float
    wasted: int
    fence_jumps: int


class Sequence:
    """Ids of one sequence; got from `Sequencer.sequence`.

    All ways to take ids raise `SequencerError`s: SequenceEmpty,
    SequenceExhausted, SequenceNotFound, SequencerUnavailable, or the root
    itself when the client is closed or refused.

    Attributes:
        name: of the sequence.
        next_id: `next_id()` answers the next id. It runs in C, so bind it to a local
            name in a hot loop (`next_id = sequence.next_id`). When no id is held it
            blocks the thread up to the client's `timeout_s`, or raises SequenceEmpty
            at once on a running event loop. A signal handler or finalizer may take
            ids too; it gets SequenceEmpty, and catches it, when it has interrupted
            its own thread in here.
        next_id_async: `await next_id_async()` answers the next id; it waits up to the
            client's `timeout_s` when none is held.
        next_ids: `next_ids(count)` answers ranges with `count` ids in all, or takes
            none of them; waits and raises as `next_id` does, and ValueError for a
            count that is negative or above 2³².
    """

    __slots__ = ("_buffer", "_stats", "_timeout_s", "name", "next_id", "next_id_async", "next_ids")

    def __init__(
        self, buffer: IdBuffer, *, timeout_s: float, stats: Callable[[], SequenceStats]
    ) -> None:
        self.name = buffer.name
        self.next_id: Callable[[], int] = buffer.next_id
        self.next_ids: Callable[[int], list[range]] = buffer.ranges
        self.next_id_async = _awaitable(buffer.ids, self._first)
        self._buffer = buffer
        self._timeout_s = timeout_s
        self._stats = stats

    async def next_ids_async(self, count: int) -> list[range]:
        """`next_ids`, waiting as `next_id_async` does."""
        try:
            return self.next_ids(count)
        except SequenceEmpty:
            return await self._retried(lambda: self.next_ids(count))

    def stats(self) -> SequenceStats:
        """The present figures."""
        return self._stats()

    async def _first(self) -> int:
        return await self._retried(self.next_id)

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


# What `_next_id_async` reads as globals. Each of its copies has others: see `_awaitable`.
_ids: Iterator[int] = iter(())


async def _waiting() -> int:
    raise AssertionError("a copy waits in a way of its own")


async def _next_id_async() -> int:
    try:
        return next(_ids)
    except SequenceEmpty:
        return await _waiting()


def _awaitable(
    ids: Iterator[int], waiting: Callable[[], Coroutine[Any, Any, int]]
) -> Callable[[], Coroutine[Any, Any, int]]:
    """`_next_id_async` with globals of its own: they are read faster than `self` or a cell."""
    names = {"_ids": ids, "_waiting": waiting, "SequenceEmpty": SequenceEmpty}
    return FunctionType(_next_id_async.__code__, names, "next_id_async")
