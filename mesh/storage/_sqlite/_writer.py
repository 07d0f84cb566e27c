"""The one writer of an SQLite store: begins and commits groups, the waiting in a thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Self

from mesh.storage._errors import StorageError, StoreUnavailable
from mesh.storage._groups import GroupWriter, Turn
from mesh.storage._options import SQLiteOptions
from mesh.storage._sqlite._connection import Connection
from mesh.storage._sqlite._file import wal_bytes
from mesh.telemetry import Meters

RETRY_S: Final = 0.001
"""Between two looks whether another process has ended its transaction."""


class Writer(GroupWriter):
    """Owns the writing connection."""

    def __init__(
        self, path: Path, connection: Connection, options: SQLiteOptions, meters: Meters
    ) -> None:
        super().__init__(options, meters)
        self.connection = connection
        self._path = path
        self._options = options
        self._checkpoint_above = options.wal_limit_bytes

    async def __aenter__(self) -> Self:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        return await super().__aenter__()

    async def __aexit__(self, *error: object) -> None:
        try:
            await super().__aexit__(*error)
        finally:
            self._thread.shutdown()

    @property
    def is_whole(self) -> bool:
        return self.connection.in_transaction

    async def _begin(self) -> StorageError | None:
        try:
            if self.connection.try_begin():
                return None
        except StorageError as error:
            return error
        return await self._in_thread(self._begin_patiently)

    async def _commit(self, _kept: Sequence[Turn]) -> StorageError | None:
        return await self._in_thread(self._commit_or_roll_back)

    async def _roll_back(self) -> StorageError | None:
        if not self.connection.in_transaction:
            return None
        return _attempt(lambda: self.connection.command("ROLLBACK"))

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

    def _commit_or_roll_back(self) -> None:
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


def _attempt(action: Callable[[], None]) -> StorageError | None:
    try:
        action()
    except StorageError as error:
        return error
    return None
