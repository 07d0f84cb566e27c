"""The tables that a store keeps for itself."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from mesh.storage._errors import StorageError
from mesh.storage._idempotency import records
from mesh.storage._inbox import seen as inbox
from mesh.storage._mysql._connection import Connection
from mesh.storage._outbox import events as outbox

metadata: Final = sa.MetaData()

turns: Final = sa.Table(
    "engine_turn",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("turn", sa.BigInteger, nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False, comment="of the last event"),
)
"""One row. Who holds its lock writes; nobody else does."""

writers: Final = sa.Table(
    "engine_writer",
    metadata,
    sa.Column("writer", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("turn", sa.BigInteger, nullable=False),
    sa.Column("seen_s", sa.BigInteger, nullable=False, comment="seconds, the server's clock"),
)
"""The last turn that each writer committed: it asks here when the answer was lost."""

TABLES: Final = (turns, writers, records, outbox, inbox)

LOCK_S: Final = 30
"""How long to wait for another process that makes the tables."""

FORGOTTEN_S: Final = 86_400
"""Seconds after which nobody asks any more what became of a commit."""

_FORGET: Final = "DELETE FROM engine_writer WHERE seen_s < UNIX_TIMESTAMP() - %s"
_FOUND: Final = (
    "SELECT table_name, index_name FROM information_schema.statistics "
    "WHERE table_schema = DATABASE()"
)


async def make_tables(connection: Connection, database: str) -> None:
    """Make the tables that are missing. Many processes may do so at once.

    Raises:
        StorageError: it cannot be done.
    """
    if await _missing(connection):
        await _make_alone(connection, database)
    await connection.command(_FORGET, (FORGOTTEN_S,))


async def _make_alone(connection: Connection, database: str) -> None:
    lock = f"{database}.store"
    ((held,),) = await connection.command("SELECT GET_LOCK(%s, %s)", (lock, LOCK_S))
    if held != 1:
        raise StorageError("another process has not finished making the store's tables")
    for statement in await _missing(connection):
        await connection.execute(statement, None)
    await connection.command("INSERT IGNORE INTO engine_turn VALUES (1, 0, 0)")
    await connection.command("SELECT RELEASE_LOCK(%s)", (lock,))


async def _missing(connection: Connection) -> list[CreateTable | CreateIndex]:
    found = {tuple(map(str, row)) for row in await connection.command(_FOUND)}
    missing: list[CreateTable | CreateIndex] = []
    for table in TABLES:
        if (table.name, "PRIMARY") not in found:
            missing.append(CreateTable(table))
        missing += [CreateIndex(i) for i in table.indexes if (table.name, i.name) not in found]
    return missing
