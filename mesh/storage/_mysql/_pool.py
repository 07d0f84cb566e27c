"""A bounded number of connections, shared by all tasks."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from mesh.storage._errors import OutcomeUnknown, StoreUnavailable
from mesh.storage._mysql._connection import Connection
from mesh.storage._mysql._errors import ConnectionLost
from mesh.storage._options import MySQLOptions

C = TypeVar("C", bound=Connection)
T = TypeVar("T")


class Pool(Generic[C]):
    """Lends connections, the one used last first.

    A connection that is closed when it comes back is forgotten: one whose user was
    cancelled, for instance. One that the server closed while nobody used it shows when
    it is used; then all that lay idle are closed, and a read runs on a new one.

    Args:
        connect: opens a connection.
        options: how many connections there may be, and how many tasks may wait for one.
    """

    def __init__(self, connect: Callable[[], Awaitable[C]], options: MySQLOptions) -> None:
        self._connect = connect
        self._options = options
        self._free = options.pool
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._idle: list[C] = []
        self._closed = False

    async def read(self, act: Callable[[C], Awaitable[T]]) -> T:
        """Run what only reads on a connection; it may run twice.

        Raises:
            StoreUnavailable: none was free in time, or too many wait.
        """
        await self._enter()
        try:
            while True:
                connection = await self._take()
                tried = connection.used
                try:
                    return await act(connection)
                except ConnectionLost:
                    if not tried:
                        raise
                    self._close_idle()
                finally:
                    self._give(connection)
        finally:
            self._release()

    async def write(self, act: Callable[[C], Awaitable[T]]) -> T:
        """Run what must not run twice on a connection.

        Raises:
            StoreUnavailable: none was free in time, or too many wait.
        """
        await self._enter()
        try:
            connection = await self._take()
            try:
                return await act(connection)
            except OutcomeUnknown:
                self._close_idle()
                raise
            finally:
                self._give(connection)
        finally:
            self._release()

    async def close(self) -> None:
        """Close those that lie idle; those in use are closed when they come back."""
        self._closed = True
        while self._idle:
            await self._idle.pop().leave()

    async def _enter(self) -> None:
        if self._free and not self._closed:  # nobody waits then
            self._free -= 1
        else:
            await self._wait()

    async def _wait(self) -> None:
        """Wait for the place of one who releases it."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        if len(self._waiting) >= self._options.queue_size:
            raise StoreUnavailable("too many wait for a connection")
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            async with asyncio.timeout(self._options.timeout_s):
                await place
        except BaseException as error:
            if place.done() and not place.cancelled():
                self._release()
            elif place in self._waiting:
                self._waiting.remove(place)
            if isinstance(error, TimeoutError):
                raise StoreUnavailable("no connection was free in time") from None
            raise

    def _release(self) -> None:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._free += 1

    async def _take(self) -> C:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
            connection.close()
        return await self._connect()

    def _give(self, connection: C) -> None:
        if connection.is_open and not self._closed:
            self._idle.append(connection)
        else:
            connection.close()

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()
