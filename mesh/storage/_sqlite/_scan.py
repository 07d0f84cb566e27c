"""Long reads: a thread fetches the next block while the consumer works on this one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from mesh.storage._base import Parameters, Row, Statement
from mesh.storage._errors import StorageError, StoreUnavailable
from mesh.storage._options import SQLiteOptions
from mesh.storage._sqlite._connection import Connection

BLOCK: Final = 1_000
"""Rows of a block, at most."""

Step = TypeVar("Step")


class Scans:
    """Runs the scans of a store on a few threads.

    Args:
        connect: opens a connection without a bound on its statements.
        options: how many scans there may be, and how many threads fetch for them.
    """

    def __init__(self, connect: Callable[[], Connection], options: SQLiteOptions) -> None:
        self._connect = connect
        self._limit = options.scans
        self._threads = ThreadPoolExecutor(options.scan_threads, thread_name_prefix="store-scan")
        self._open: set[_Scan] = set()
        self._closed = False

    async def blocks(
        self, statement: Statement, parameters: Parameters | None
    ) -> AsyncGenerator[Sequence[Row], None]:
        """The rows, in blocks. One block is fetched ahead, not more."""
        scan = self._begin(statement, parameters)
        try:
            ahead = self._submit(scan.fetch)
            while block := await ahead:
                if isinstance(block, StorageError):
                    raise block
                ahead = self._submit(scan.fetch)
                yield block
        finally:
            if scan in self._open:
                self._open.discard(scan)
                scan.interrupt()
                await asyncio.shield(self._submit(scan.close))

    def close(self) -> None:
        """End all scans; who still consumes one gets `StoreUnavailable`."""
        self._closed = True
        while self._open:
            scan = self._open.pop()
            scan.interrupt()
            scan.close()
        self._threads.shutdown()

    def _begin(self, statement: Statement, parameters: Parameters | None) -> _Scan:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        if len(self._open) >= self._limit:
            raise StoreUnavailable("too many scans are open")
        connection = self._connect()
        try:
            blocks = connection.blocks(statement, parameters, BLOCK)
        except StorageError:
            connection.close()
            raise
        scan = _Scan(connection, blocks)
        self._open.add(scan)
        return scan

    def _submit(self, step: Callable[[], Step]) -> asyncio.Future[Step]:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        return asyncio.get_running_loop().run_in_executor(self._threads, step)


class _Scan:
    """A connection and its rows, used by one thread at a time."""

    def __init__(self, connection: Connection, blocks: Iterator[list[Row]]) -> None:
        self._connection = connection
        self._blocks = blocks
        self._lock = threading.Lock()
        self._ended = False

    def fetch(self) -> list[Row] | StorageError:
        """The next block, an empty one at the end, or what went wrong.

        An error is returned, since the consumer may no longer be there to take it.
        """
        with self._lock:
            if self._ended:  # before this fetch began: no block is not the end of the rows
                return StoreUnavailable("the scan was ended")
            try:
                return next(self._blocks, [])
            except StorageError as error:
                return StoreUnavailable("the scan was ended") if self._ended else error

    def interrupt(self) -> None:
        """Make a `fetch` under way end soon, and let no other begin."""
        self._ended = True
        self._connection.interrupt()

    def close(self) -> None:
        """Close the connection, after a `fetch` under way."""
        with self._lock:
            self._connection.close()
