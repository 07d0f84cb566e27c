"""The one writer of a store: bodies one after another, commits in groups.

A commit waits for the disk. While it does, transactions queue, and all that
queued share the next one. Each is a savepoint of its own within the group, so
that one can fail alone; the group's commit makes all of them durable.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Self

from mesh.storage._connection import Connection
from mesh.storage._errors import StorageError, StoreUnavailable
from mesh.storage._file import wal_bytes
from mesh.storage._options import SQLiteOptions
from mesh.telemetry import Meters

RETRY_S: Final = 0.001
"""Between two looks whether another process has ended its transaction."""


class Turn:
    """A transaction's place in the queue, and what the writer and it tell each other.

    `granted` and `settled` answer None, or the error that the writer met.
    A transaction that is cancelled while it waits for one cancels it. `left` is what
    the writer waits for; closing cancels it to cut the block off. `committed` is called
    by the writer once the work is durable, though its task may be gone by then.
    """

    __slots__ = ("committed", "granted", "left", "settled", "task")

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.task = asyncio.current_task()
        self.granted: asyncio.Future[StorageError | None] = loop.create_future()
        self.left: asyncio.Future[bool] = loop.create_future()
        self.settled: asyncio.Future[StorageError | None] = loop.create_future()
        self.committed: Callable[[], None] | None = None

    def leave(self, *, kept: bool) -> None:
        """Give the writer back, with work to commit or without."""
        if not self.left.done():
            self.left.set_result(kept)


class Writer:
    """Owns the writing connection. An async context manager.

    Leaving it lets the block under way end, for `close_s` seconds at most, commits
    and refuses what still waits.
    """

    def __init__(
        self, path: Path, connection: Connection, options: SQLiteOptions, meters: Meters
    ) -> None:
        self.connection = connection
        self._path = path
        self._options = options
        self._transactions = meters.counter("storage.transactions")
        self._commits = meters.counter("storage.commits")
        self._waiting: deque[Turn] = deque()
        self._group: list[Turn] = []
        self._wake = asyncio.Event()
        self._closing = False
        self._checkpoint_above = options.wal_limit_bytes

    async def __aenter__(self) -> Self:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        self._task = asyncio.create_task(self._serve(), name="store-writer")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing = True
        self._wake.set()
        try:
            await asyncio.wait([self._task], timeout=self._options.close_s)
        finally:
            await self._cut_off()
        if not self._task.cancelled():
            self._task.result()

    async def _cut_off(self) -> None:
        """End a block that still runs; a commit under way is never cut."""
        for turn in self._group:
            turn.left.cancel()
        try:
            await asyncio.wait([self._task])
        finally:
            self._thread.shutdown()

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

    def _queue_up(self) -> Turn:
        if self._closing or self._task.done():
            raise StoreUnavailable("the store is closed")
        if len(self._waiting) >= self._options.queue_size:
            raise StoreUnavailable("too many transactions wait for the writer")
        turn = Turn()
        holder = self._group[-1] if self._group else None
        if holder and holder.task is turn.task and not holder.left.done():
            raise RuntimeError("a transaction within a transaction of the same store")
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
                failure = await self._end(len(kept))
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

    async def _begin(self) -> StorageError | None:
        try:
            if self.connection.try_begin():
                return None
        except StorageError as error:
            return error
        return await self._in_thread(self._begin_patiently)

    async def _run_bodies(self) -> list[Turn]:
        """Those who wait now share the commit, and who comes until the group's time is over.

        A body takes two turns of the event loop, and on a busy machine a turn takes
        longer than a group should gather: counted by time alone, each would pay for a
        commit of its own, and the queue would grow as long as the machine is busy.
        """
        until = time.monotonic() + self._options.group_s
        queued = len(self._waiting)
        kept: list[Turn] = []
        while self._waiting and len(kept) < self._options.group_size:
            turn = self._waiting.popleft()
            queued -= 1
            if turn.granted.done():
                continue
            self._group.append(turn)
            turn.granted.set_result(None)
            if await turn.left:
                kept.append(turn)
            if self._closing or not self.connection.in_transaction:
                break
            if queued <= 0 and time.monotonic() > until:
                break
        return kept

    async def _end(self, kept: int) -> StorageError | None:
        if not self.connection.in_transaction:
            return StoreUnavailable("a statement of the same group made the database roll back")
        if not kept:
            return _attempt(lambda: self.connection.command("ROLLBACK"))
        failure = await self._in_thread(self._commit)
        if failure is None:
            self._transactions.add(kept)
            self._commits.add()
        return failure

    async def _in_thread(self, action: Callable[[], None]) -> StorageError | None:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, _attempt, action)

    def _begin_patiently(self) -> None:
        # SQLite's own waiting backs off to 100 ms: a busy neighbour would always be first.
        until = time.monotonic() + self._options.busy_timeout_s
        while not self.connection.try_begin():
            if self._closing or time.monotonic() > until:
                raise StoreUnavailable("another process kept the database locked")
            time.sleep(RETRY_S)

    def _commit(self) -> None:
        try:
            self.connection.command("COMMIT")
        except StorageError:
            if self.connection.in_transaction:
                self.connection.command("ROLLBACK")
            raise
        self._checkpoint()

    def _checkpoint(self) -> None:
        limit = self._options.wal_limit_bytes
        if wal_bytes(self._path) <= self._checkpoint_above:
            return
        # The commit is done: what a checkpoint meets is not its failure. Readers of
        # an old state may keep the log from shrinking; then the next try waits for more.
        _attempt(lambda: self.connection.command("PRAGMA wal_checkpoint(TRUNCATE)"))
        self._checkpoint_above = wal_bytes(self._path) + limit

    def _refuse(self, error: StorageError) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.granted.done():
                turn.granted.set_result(error)


def _attempt(action: Callable[[], None]) -> StorageError | None:
    try:
        action()
    except StorageError as error:
        return error
    return None


def _settle(turns: list[Turn], outcome: StorageError | None) -> None:
    for turn in turns:
        if outcome is None and turn.committed is not None:
            turn.committed()
        if not turn.settled.done():
            turn.settled.set_result(outcome)
