"""Transactions of a store one after another, in groups that share a commit.

A commit waits for the disk. While it does, transactions queue, and all that
queued share the next one. Each is a savepoint of its own within the group, so
that one can fail alone; the group's commit makes all of them durable.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Self

from mesh.storage._errors import OutcomeUnknown, StorageError, StoreUnavailable
from mesh.storage._options import StoreOptions
from mesh.telemetry import Meters, SpanKind, Tracer, current_trace


class Turn:
    """A transaction's place in the queue, and what the writer and it tell each other.

    `granted` and `settled` answer None, or the error that the writer met.
    A transaction that is cancelled while it waits for one cancels it. `left` is what
    the writer waits for; closing cancels it to cut the block off. `committed` is called
    by the writer once the work is durable, though its task may be gone by then.
    `events` are those that the writer is to keep with the work.
    """

    __slots__ = ("committed", "events", "granted", "left", "settled", "task", "under_way")

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.task = asyncio.current_task()
        self.granted: asyncio.Future[StorageError | None] = loop.create_future()
        self.left: asyncio.Future[bool] = loop.create_future()
        self.settled: asyncio.Future[StorageError | None] = loop.create_future()
        self.committed: Callable[[], None] | None = None
        self.events: Sequence[bytes] = ()
        self.under_way: asyncio.Task[Any] | None = None

    @property
    def is_over(self) -> bool:
        """Whether the transaction left by itself."""
        return self.left.done() and not self.left.cancelled()

    def leave(self, *, kept: bool) -> None:
        """Give the writer back, with work to commit or without."""
        if not self.left.done():
            self.left.set_result(kept)

    async def commit(self, tracer: Tracer, system: str) -> None:
        """Leave with work to commit; returns when that is durable.

        Args:
            tracer: times the wait.
            system: names the database.

        Raises:
            OutcomeUnknown: nobody can tell what became of it.
            StoreUnavailable: nothing was kept.
        """
        self.leave(kept=True)
        trace = current_trace()
        if trace is None or not trace.sampled:
            failure = await self.settled
        else:
            with tracer.span("sql COMMIT", SpanKind.CLIENT, trace) as span:
                span.set("db.system", system)
                span.set("db.operation", "COMMIT")
                failure = await self.settled
        if isinstance(failure, OutcomeUnknown):
            raise OutcomeUnknown(str(failure)) from failure
        if failure is not None:
            raise StoreUnavailable("the transaction was not committed") from failure


class GroupWriter(ABC):
    """Grants turns, gathers groups, settles them. An async context manager.

    Leaving it lets the block under way end, for `close_s` seconds at most, commits
    and refuses what still waits.
    """

    def __init__(self, options: StoreOptions, meters: Meters) -> None:
        self._bounds = options
        self._transactions = meters.counter("storage.transactions")
        self._commits = meters.counter("storage.commits")
        self._waiting: deque[Turn] = deque()
        self._group: list[Turn] = []
        self._wake = asyncio.Event()
        self._closing = False

    @property
    @abstractmethod
    def is_whole(self) -> bool:
        """Whether the group's transaction still has all that its units did."""

    @abstractmethod
    async def _begin(self) -> StorageError | None:
        """Begin the transaction of a group."""

    @abstractmethod
    async def _commit(self, kept: Sequence[Turn], /) -> StorageError | None:
        """Commit what the turns did; durable when it returns None."""

    @abstractmethod
    async def _roll_back(self) -> StorageError | None:
        """End a group of which nothing is kept."""

    async def _ended(self, turn: Turn, *, kept: bool) -> None:
        """A unit left its block; the next one begins after this."""
        _ = turn, kept

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._serve(), name="store-writer")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing = True
        self._wake.set()
        try:
            await asyncio.wait([self._task], timeout=self._bounds.close_s)
        finally:
            await self._cut_off()
        if not self._task.cancelled():
            self._task.result()

    async def _cut_off(self) -> None:
        """End a block that still runs; a commit under way is never cut."""
        for turn in self._group:
            turn.left.cancel()
        await asyncio.wait([self._task])

    async def turn(self) -> Turn:
        """Wait for the writer; the caller must `leave` the turn it gets.

        Raises:
            StoreUnavailable: closed, too many wait, or another process keeps the lock.
            RuntimeError: the task is within a transaction of this store already.
        """
        turn = self._queue_up()
        try:
            refusal = await turn.granted
        except BaseException:
            turn.leave(kept=False)
            raise
        if refusal is not None:
            raise StoreUnavailable(str(refusal)) from refusal
        return turn

    def refuse_nested(self) -> None:
        """Raise a RuntimeError when the task is within a transaction of this store."""
        holder = self._group[-1] if self._group else None
        if holder and not holder.left.done() and holder.task is asyncio.current_task():
            raise RuntimeError("a transaction within a transaction of the same store")

    def _queue_up(self) -> Turn:
        if self._closing or self._task.done():
            raise StoreUnavailable("the store is closed")
        if len(self._waiting) >= self._bounds.queue_size:
            raise StoreUnavailable("too many transactions wait for the writer")
        self.refuse_nested()
        turn = Turn()
        self._waiting.append(turn)
        self._wake.set()
        return turn

    async def _serve(self) -> None:
        try:
            while await self._has_work():
                failure = await self._begin()
                if failure is not None:
                    self._refuse(failure)
                    continue
                kept = await self._run_bodies()
                failure = await self._end(kept)
                _settle(kept, failure)
                self._group.clear()
        finally:
            self._closing = True
            closed = StoreUnavailable("the store is closed")
            _settle(self._group, closed)
            self._refuse(closed)

    async def _has_work(self) -> bool:
        while not self._closing:
            while self._waiting and self._waiting[0].granted.done():
                self._waiting.popleft()
            if self._waiting:
                return True
            self._wake.clear()
            await self._wake.wait()
        return False

    async def _run_bodies(self) -> list[Turn]:
        """Those who wait now share the commit, and who comes until the group's time is over.

        A body takes two turns of the event loop, and on a busy machine a turn takes
        longer than a group should gather: counted by time alone, each would pay for a
        commit of its own, and the queue would grow as long as the machine is busy.
        """
        until = time.monotonic() + self._bounds.group_s
        queued = len(self._waiting)
        kept: list[Turn] = []
        while self._waiting and len(kept) < self._bounds.group_size:
            turn = self._waiting.popleft()
            queued -= 1
            if turn.granted.done():
                continue
            self._group.append(turn)
            turn.granted.set_result(None)
            if keeps := await turn.left:
                kept.append(turn)
            await self._ended(turn, kept=keeps)
            if self._closing or not self.is_whole:
                break
            if queued <= 0 and time.monotonic() > until:
                break
        return kept

    async def _end(self, kept: Sequence[Turn]) -> StorageError | None:
        if not self.is_whole:
            await self._roll_back()
            return StoreUnavailable("a statement of the same group made the database roll back")
        if not kept:
            return await self._roll_back()
        failure = await self._commit(kept)
        if failure is None:
            self._transactions.add(len(kept))
            self._commits.add()
        return failure

    def _refuse(self, error: StorageError) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.granted.done():
                turn.granted.set_result(error)


def _settle(turns: list[Turn], outcome: StorageError | None) -> None:
    for turn in turns:
        if outcome is None and turn.committed is not None:
            turn.committed()
        if not turn.settled.done():
            turn.settled.set_result(outcome)
