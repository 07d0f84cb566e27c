"""The right to pass on events: a lock that the server keeps for a connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from mesh.storage._errors import StoreUnavailable
from mesh.storage._mysql._connection import Connection
from mesh.storage._mysql._errors import ConnectionLost
from mesh.storage._mysql._server import Server
from mesh.storage._mysql._session import Kind

_TAKE: Final = "SELECT GET_LOCK(%s, %s)"
_RELEASE: Final = "SELECT RELEASE_LOCK(%s)"


class Held:
    """The turn of a relay, which ends with its connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def confirm(self) -> None:
        await self._connection.command("SELECT 1")


class LockTurns:
    """Gives the turns of one store, over a connection of their own.

    Args:
        server: opens it.
        wait_s: how long to wait for another process.
    """

    def __init__(self, server: Server, wait_s: float) -> None:
        self._server = server
        self._wait_s = wait_s
        self._lock = f"{server.database}.relay"
        self._one = asyncio.Lock()
        self._connection: Connection | None = None

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Held]:
        """The turn; given back at the end of the block."""
        async with self._one:
            connection = await self._taken()
            try:
                yield Held(connection)
                await connection.command(_RELEASE, (self._lock,))
            except BaseException:
                connection.close()  # which gives it back, too
                raise

    async def close(self) -> None:
        """Give back what is held, and close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.leave()

    async def _taken(self) -> Connection:
        while True:
            if self._connection is None or not self._connection.is_open:
                self._connection = await self._server.connect(Kind.PLAIN, Connection)
            connection = self._connection
            tried = connection.used
            try:
                ((held,),) = await connection.command(_TAKE, (self._lock, self._wait_s))
            except ConnectionLost:
                if tried:
                    continue  # it lay idle while the server ended it
                raise
            if held != 1:
                raise StoreUnavailable("another process is passing on the events")
            return connection
