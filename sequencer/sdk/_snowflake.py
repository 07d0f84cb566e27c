"""Snowflake sequences, as their users see them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import inf
from threading import RLock
from typing import Final, TypeVar

from sequencer.sdk._demand import MAX_HELD
from sequencer.sdk._errors import SequenceEmpty, SequencerError
from sequencer.sdk._keeper import Keeper, Leasing
from sequencer.sdk._lock import exclusive
from sequencer.sdk._minter import Minter
from sequencer.sdk._supply import CALL_TIMEOUT_S
from sequencer.sdk._worker import WorkerSource

T = TypeVar("T")

STEP_S: Final = 0.001
"""The least that a task pauses before it looks for ids again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnowflakeStats:
    """How a snowflake sequence fares in this process.

    `worker_id` is None without a worker; `covered_s` is how many seconds ids can
    be made without the sequencer; `waits` counts how often a user found no
    worker, `workers` how many there have been; `days_left` is how long the time
    bits last.
    """

    worker_id: int | None
    covered_s: float
    waits: int
    workers: int
    days_left: int | None


class Snowflake:
    """Ids of one snowflake sequence; got from `Sequencer.snowflake`.

    Ids are unique over all processes and ordered by time: strictly within a
    process, and over processes as exactly as the round trip to the sequencer
    and 10 ms (a burst runs ahead by that) allow. Nothing is asked of the
    sequencer for an id, but to renew the worker in the background.

    `next_id()` answers the next id; bind it to a local name in a hot loop. When
    there is no worker, or more ids than the layout has in a tick are wanted, it
    blocks the thread, or raises SequenceEmpty at once on a running event loop.

    All ways to take ids raise `SequencerError`s: SequenceEmpty, WorkerLost once
    the window has ended and cannot be renewed, SequenceNotFound,
    SequencerUnavailable, or the root itself when the client is closed or refused.
    They work again by themselves when the sequencer is back.
    """

    __slots__ = ("_minter", "_timeout_s", "name", "next_id")

    def __init__(self, minter: Minter, *, timeout_s: float) -> None:
        self.name = minter.name
        self.next_id: Callable[[], int] = minter.next_id
        self._minter = minter
        self._timeout_s = timeout_s

    async def next_id_async(self) -> int:
        """The next id; waits up to the client's `timeout_s` when there is none."""
        try:
            return self.next_id()
        except SequenceEmpty:
            return await self._retried(self.next_id)

    def next_ids(self, count: int) -> list[range]:
        """Ranges with `count` ids in all, rising. Waits and raises as `next_id` does.

        It takes as long as the layout takes to have so many ids; when it raises,
        ids that it had taken go unused.

        Raises:
            ValueError: `count` is negative or above 2³².
        """
        _check(count)
        return self._minter.ranges(count)

    async def next_ids_async(self, count: int) -> list[range]:
        """`next_ids`, waiting as `next_id_async` does."""
        _check(count)
        taken: list[range] = []
        while count:
            some = await self._awaited(partial(self._minter.some, count))
            taken += some
            count -= sum(map(len, some))
        return taken

    def stats(self) -> SnowflakeStats:
        """The present figures."""
        worker, _ = self._minter.held()
        return SnowflakeStats(
            worker_id=worker.worker_id if worker else None,
            covered_s=self._minter.left_s(),
            waits=self._minter.waits,
            workers=self._minter.workers,
            days_left=worker.layout.days_left(worker.now_tick) if worker else None,
        )

    async def _awaited(self, take: Callable[[], T]) -> T:
        try:
            return take()
        except SequenceEmpty:
            return await self._retried(take)

    async def _retried(self, take: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(self._timeout_s):
                while True:
                    await self._change()
                    with suppress(SequenceEmpty):
                        return take()
        except TimeoutError:
            raise self._minter.timed_out() from None

    async def _change(self) -> None:
        delay_s = self._minter.delay_s()
        if delay_s < inf:
            await asyncio.sleep(max(delay_s, STEP_S))
            return
        changed = asyncio.get_running_loop().create_future()
        with self._minter.watching(changed):
            await changed


class Snowflakes:
    """All snowflake sequences of a client, kept by one thread.

    Args:
        source: where workers come from.
        client_id: who asks, never used by another process.
        survive_s: be able to make ids for that many seconds without the sequencer, up
            to the 600 that the longest window allows.
        timeout_s: how long a user who finds no worker waits.
        create_missing: create sequences that nobody has created.
        monotonic: seconds that never step back.
    """

    def __init__(
        self,
        source: WorkerSource,
        *,
        client_id: str,
        survive_s: float = 60.0,
        timeout_s: float = 5.0,
        create_missing: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._survive_s = survive_s
        self._timeout_s = timeout_s
        self._create_missing = create_missing
        self._monotonic = monotonic
        self._minters: dict[str, Minter] = {}
        self._sequences: dict[str, Snowflake] = {}
        self._closed = False
        self._begin(client_id)

    def sequence(self, name: str, *, prefetch: bool = False) -> Snowflake:
        """The sequence of that name, the same object at each call."""
        with exclusive(self._lock):
            if self._closed:
                raise SequencerError("The client is closed")
            if name not in self._sequences:
                self._add(name)
            if prefetch:
                self._minters[name].prefetch()
            return self._sequences[name]

    def prefetch(self) -> None:
        """Ask for the workers of all sequences. Never waits."""
        for minter in self._minters.values():
            minter.prefetch()

    def close(self) -> None:
        """Give the workers back, and end the thread. A second time does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        for minter in self._minters.values():
            minter.close()
        self._keeper.stop(self._minters.values(), timeout_s=2 * CALL_TIMEOUT_S)
        self._source.close()

    def reset(self, client_id: str) -> None:
        """Start anew as the client of a forked child."""
        self._begin(client_id)
        for minter in self._minters.values():
            minter.reset()

    def _begin(self, client_id: str) -> None:
        self._lock = RLock()
        leasing = Leasing(
            source=self._source,
            client_id=client_id,
            survive_s=self._survive_s,
            create_missing=self._create_missing,
            monotonic=self._monotonic,
        )
        self._keeper = Keeper(leasing)

    def _add(self, name: str) -> None:
        minter = Minter(
            name,
            timeout_s=self._timeout_s,
            ask=lambda: self._keeper.ask(minter),
            monotonic=self._monotonic,
        )
        self._minters[name] = minter
        self._sequences[name] = Snowflake(minter, timeout_s=self._timeout_s)


def _check(count: int) -> None:
    if not 0 <= count <= MAX_HELD:
        raise ValueError(f"count must be between 0 and {MAX_HELD}")
