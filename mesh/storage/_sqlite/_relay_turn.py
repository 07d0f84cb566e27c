"""The right to pass on events: a lock on a file beside the database."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from mesh.storage._errors import StoreUnavailable
from mesh.storage._sqlite._file import MODE

RETRY_S: Final = 0.01
"""Between two looks whether another process has given the turn back."""


class Held:
    """The turn of a relay; the system keeps the lock as long as the process lives."""

    async def confirm(self) -> None:
        pass


class FileTurns:
    """Gives the turns of one store.

    Args:
        database: the database file.
        wait_s: how long to wait for another process.
    """

    def __init__(self, database: Path, wait_s: float) -> None:
        self._path = database.with_name(f"{database.name}.relay")
        self._wait_s = wait_s

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Held]:
        """The turn; given back at the end of the block."""
        descriptor = self._opened()
        try:
            await self._lock(descriptor)
            yield Held()
        finally:
            os.close(descriptor)

    def _opened(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT, MODE)
        except OSError as error:
            raise StoreUnavailable(f"the relay's lock cannot be made: {error.strerror}") from error

    async def _lock(self, descriptor: int) -> None:
        until = time.monotonic() + self._wait_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    raise StoreUnavailable("another process is passing on the events") from None
                await asyncio.sleep(RETRY_S)
            else:
                return
