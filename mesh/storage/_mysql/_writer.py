"""The one writer of a process, and how the writers of all processes take turns.

A store keeps what the embedded one promises: one writing transaction at a time in a
database, whoever writes. Services rely on it: what a transaction has read stays true
until it ends, without a lock of its own. So a group of transactions begins with an
update of the one row of `engine_turn`; whoever holds this row's lock is the only writer,
and sees all that was committed before, since sessions read what is committed.

What it costs: a round trip at the beginning of each group, and that writers of one
database do not write at the same time. Transactions that queue in a process share a
group, so the price is paid per group; databases are as small as a service.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterator, Sequence
from itertools import chain, count
from typing import Final

from mesh.storage._errors import OutcomeUnknown, StorageError, StoreUnavailable
from mesh.storage._groups import GroupWriter, Turn
from mesh.storage._mysql._errors import ConnectionLost
from mesh.storage._mysql._server import Server
from mesh.storage._mysql._session import Kind
from mesh.storage._mysql._writing import WritingConnection
from mesh.storage._options import MySQLOptions
from mesh.telemetry import Meters

RETRY_S: Final = 0.1
"""Between two tries to learn what became of a commit."""

_EVENT: Final = "(%s, %s)"
_EVENTS: Final = "INSERT INTO engine_outbox (position, event) VALUES "
_POSITION: Final = "UPDATE engine_turn SET position = %s WHERE id = 1"
_COMMITTED: Final = (
    "INSERT INTO engine_writer (writer, turn, seen_s) VALUES (%s, %s, UNIX_TIMESTAMP()) "
    "ON DUPLICATE KEY UPDATE turn = VALUES(turn), seen_s = VALUES(seen_s)"
)
_LOCK: Final = "UPDATE engine_turn SET turn = turn WHERE id = 1"
_LAST: Final = "SELECT turn FROM engine_writer WHERE writer = %s"


class Writer(GroupWriter):
    """Owns the writing connection, and opens another when it is lost.

    Args:
        server: opens it.
    """

    def __init__(self, server: Server, options: MySQLOptions, meters: Meters) -> None:
        super().__init__(options, meters)
        self._server = server
        self._options = options
        self._id = secrets.randbits(62)
        self._connection: WritingConnection | None = None
        self._turn = self._position = 0

    async def __aexit__(self, *error: object) -> None:
        try:
            await super().__aexit__(*error)
        finally:
            connection, self._connection = self._connection, None
            if connection is not None:
                await connection.leave()

    @property
    def connection(self) -> WritingConnection:
        """The connection that has the turn; within a group only."""
        assert self._connection is not None, "no group has begun"
        return self._connection

    @property
    def is_whole(self) -> bool:
        return self._connection is not None and self._connection.is_whole

    async def _begin(self) -> StorageError | None:
        while True:
            is_new = self._connection is None
            try:
                if self._connection is None:
                    self._connection = await self._connect()
                self._turn, self._position = await self._connection.take_turn()
            except StorageError as error:
                self._drop()
                # It may have lain idle while the server was started again.
                if is_new or not isinstance(error, ConnectionLost):
                    return error
            else:
                return None

    async def _ended(self, turn: Turn, *, kept: bool) -> None:
        if turn.under_way is not None and not turn.under_way.done():
            # Its task was cancelled; the statement may hold the connection still.
            await asyncio.wait([turn.under_way])
        if not kept:
            self.connection.undo_unit()

    async def _commit(self, kept: Sequence[Turn]) -> StorageError | None:
        events = [event for turn in kept for event in turn.events]
        connection = self.connection
        try:
            texts = [*self._outbox(connection, events), self._mark(connection), "COMMIT"]
            await connection.end_group(texts)
        except StorageError as error:
            return await self._settle(error)
        return None

    async def _roll_back(self) -> StorageError | None:
        try:
            if self._connection is not None and self._connection.is_open:
                await self._connection.roll_back()
        except StorageError:
            self._drop()  # which undoes it, too
        return None

    def _outbox(self, connection: WritingConnection, events: Sequence[bytes]) -> list[str]:
        """Statements that keep the events, in packets of bounded size."""
        if not events:
            return []
        texts = []
        position = self._position
        for batch in _batches(events, self._options.max_packet_bytes):
            rows = ", ".join([_EVENT] * len(batch))
            places = zip(count(position + 1), batch, strict=False)
            texts.append(connection.written(_EVENTS + rows, [*chain.from_iterable(places)]))
            position += len(batch)
        return [*texts, connection.written(_POSITION, (position,))]

    def _mark(self, connection: WritingConnection) -> str:
        """Leaves in the database that this turn was committed."""
        return connection.written(_COMMITTED, (self._id, self._turn))

    async def _settle(self, error: StorageError) -> StorageError | None:
        """Learn from the database what became of a commit whose answer did not come.

        Who has the row's lock knows that the lost session has ended, one way or the other.
        """
        self._drop()
        until = time.monotonic() + self._options.timeout_s
        while True:
            try:
                return None if await self._was_committed() else StoreUnavailable(str(error))
            except StorageError:
                self._drop()
                if time.monotonic() > until:
                    return OutcomeUnknown("nobody can tell whether the transaction was committed")
            await asyncio.sleep(RETRY_S)

    async def _was_committed(self) -> bool:
        self._connection = connection = await self._connect()
        await connection.command("BEGIN")
        await connection.command(_LOCK)
        rows = await connection.command(_LAST, (self._id,))
        await connection.roll_back()
        return [turn for (turn,) in rows] == [self._turn]

    async def _connect(self) -> WritingConnection:
        return await self._server.connect(Kind.WRITE, WritingConnection)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _batches(events: Sequence[bytes], most_bytes: int) -> Iterator[Sequence[bytes]]:
    """The events in batches of bounded size; a larger event has one of its own."""
    start = size = 0
    for end, event in enumerate(events):
        if end > start and size + len(event) > most_bytes:
            yield events[start:end]
            start, size = end, 0
        size += len(event)
    yield events[start:]
