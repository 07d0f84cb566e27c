"""Long reads: a connection of their own, rows as they come, one state of the database."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Final

from asyncmy.cursors import SSCursor

from mesh.storage._base import Parameters, Row, Statement
from mesh.storage._errors import StoreUnavailable
from mesh.storage._mysql._connection import NOTHING, Connection
from mesh.storage._mysql._server import Server
from mesh.storage._mysql._session import Kind
from mesh.storage._options import MySQLOptions

BLOCK: Final = 1_000
"""Rows of a block, at most."""

_SNAPSHOT: Final = "START TRANSACTION WITH CONSISTENT SNAPSHOT"


class ScanConnection(Connection):
    """A connection that runs one long read."""

    async def blocks(
        self, statement: Statement, parameters: Parameters | None
    ) -> AsyncGenerator[list[Row], None]:
        """The rows of a statement in blocks, as the server sends them."""
        given = parameters or NOTHING
        prepared = self._prepare(statement, given)
        text, values = self._bind(prepared, given)
        limit_s = self._means.options.scan_block_s
        await self.command(_SNAPSHOT)
        cursor = self._raw.cursor(SSCursor)
        await self._run(cursor.execute, text, values, limit_s=limit_s)
        while True:
            found = await self._run(cursor.fetchmany, BLOCK, limit_s=limit_s)
            if not found:
                return
            # The driver would take in all that the server sends while nobody asks for it.
            self._raw._transport.pause_reading()  # noqa: SLF001 - there is no public way
            yield prepared.plan.rows(cursor.description, found)
            if self.is_open:
                self._raw._transport.resume_reading()  # noqa: SLF001


class Scans:
    """Runs the scans of a store.

    Args:
        server: opens their connections.
        options: how many there may be.
    """

    def __init__(self, server: Server, options: MySQLOptions) -> None:
        self._server = server
        self._limit = options.scans
        self._open = 0
        self._connections: set[Connection] = set()
        self._closed = False

    async def blocks(
        self, statement: Statement, parameters: Parameters | None
    ) -> AsyncGenerator[Sequence[Row], None]:
        """The rows, in blocks. Leaving early closes the connection."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        if self._open >= self._limit:
            raise StoreUnavailable("too many scans are open")
        self._open += 1
        connection: ScanConnection | None = None
        try:
            connection = await self._server.connect(Kind.SCAN, ScanConnection)
            self._connections.add(connection)
            async for block in connection.blocks(statement, parameters):
                yield block
        finally:
            self._open -= 1
            if connection is not None:
                self._connections.discard(connection)
                connection.close()

    def close(self) -> None:
        """End all scans; who still consumes one gets `StoreUnavailable`."""
        self._closed = True
        while self._connections:
            self._connections.pop().close()
