"""The stores that the contract tests run on, each on a database of the test's own."""

from __future__ import annotations

import secrets
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

import pytest
import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from loadtests.servers import MariaDb
from mesh.storage import (
    Address,
    MySQLAddress,
    MySQLOptions,
    SQLiteOptions,
    SQLiteStore,
    Store,
    StoreOptions,
)
from mesh.storage._mysql._server import Dialect
from mesh.storage._mysql._store import MySQLStore
from mesh.telemetry import NullTracer

STORES = ["sqlite", pytest.param("mysql", marks=pytest.mark.real)]


class Place(Protocol):
    """A database; every `open` is as if another process opened it."""

    @property
    def impatient(self) -> StoreOptions:
        """Bounds of a store that does not wait for a turn."""

    @property
    def address(self) -> Address: ...

    def open(self, **changes: Any) -> AbstractAsyncContextManager[Store]: ...

    async def create(self, store: Store, *tables: sa.Table) -> None:
        """Make tables, as migrations do."""


class SQLitePlace:
    """A file."""

    impatient = SQLiteOptions(relay_wait_s=0.01)

    def __init__(self, folder: Path) -> None:
        self.address = folder / "store.db"

    def open(self, **changes: Any) -> SQLiteStore:
        patient = SQLiteOptions(statement_limit_s=60.0)  # on a busy machine too
        return SQLiteStore(self.address, **{"tracer": NullTracer(), "options": patient, **changes})

    async def create(self, store: Store, *tables: sa.Table) -> None:
        async with store.transaction() as tx:
            for table in tables:
                await tx.execute(CreateTable(table))


class MySQLPlace:
    """A database of a server."""

    impatient = MySQLOptions(relay_wait_s=0.01)

    def __init__(self, server: MariaDb) -> None:
        self._server = server
        host, port = server.address
        name = f"test_{secrets.token_hex(6)}"
        self.address = MySQLAddress(host=host, port=port, user=server.user, database=name)

    def open(self, **changes: Any) -> MySQLStore:
        patient = MySQLOptions(timeout_s=30.0)
        return MySQLStore(self.address, **{"tracer": NullTracer(), "options": patient, **changes})

    async def create(self, store: Store, *tables: sa.Table) -> None:
        for table in tables:
            self.query(str(CreateTable(table).compile(dialect=Dialect())))

    def query(self, sql: str) -> list[list[str]]:
        """Rows of a statement, by another client."""
        return self._server.query(sql, self.address.database)


def place(kind: str, request: pytest.FixtureRequest, folder: Path) -> Place:
    """A new database of a kind."""
    if kind == "sqlite":
        return SQLitePlace(folder)
    return MySQLPlace(request.getfixturevalue("mariadb"))
