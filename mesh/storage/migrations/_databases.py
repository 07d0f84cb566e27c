"""A database of either kind as a SQLAlchemy connection, and the right to migrate it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from mesh.storage._address import Address, MySQLAddress
from mesh.storage._errors import SchemaMismatch, StorageError, StoreUnavailable, unwritable
from mesh.storage._mysql._session import collation
from mesh.storage._sqlite._errors import FOREIGN, translate
from mesh.storage._sqlite._file import MODE, create

BUSY_TIMEOUT_S: Final = 30.0
"""How long a migration waits for a process that is writing."""

LOCK_S: Final = 600
"""How long a migration on a server waits for another process that migrates the same."""

_LOST: Final = frozenset({1040, 1042, 1053, 1152, 1203, 1205, 1927, 2002, 2003, 2006, 2013, 2055})
_TELLS_VALUES: Final = frozenset({1062, 1264, 1292, 1366, 1406, 1586})


@contextmanager
def connected(address: Address) -> Iterator[sa.Connection | None]:
    """A connection to a database; None when there is none yet.

    Raises:
        StorageError: the database refused a statement of the block.
    """
    if isinstance(address, Path):
        if not address.exists():
            yield None
            return
        with _file(address) as connection:
            yield connection
        return
    with _server(address) as server:
        exists = _collation(server, address.database) is not None
    if not exists:
        yield None
        return
    with _server(address, address.database) as connection:
        yield connection


@contextmanager
def alone(address: Address) -> Iterator[sa.Connection]:
    """A connection that alone may migrate the database, which is made when there is none.

    Raises:
        StoreUnavailable: another process migrates it and does not come to an end.
        StorageError: the database refused a statement of the block.
    """
    if isinstance(address, Path):
        with _locked(address):
            create(address, BUSY_TIMEOUT_S)
            with _file(address) as connection:
                yield connection
        return
    with _server(address) as server:
        _create_database(server, address.database)
    # The lock is the migrating connection's own: a server goes on with the statement
    # of a client that died, and keeps its lock for as long.
    with _server(address, address.database) as connection:
        name = f"engine.migrate.{sha256(address.database.encode()).hexdigest()[:32]}"
        if connection.scalar(sa.select(sa.func.get_lock(name, LOCK_S))) != 1:
            raise StoreUnavailable(f"another process has been migrating for {LOCK_S} s")
        connection.rollback()
        yield connection


def name_of(address: Address) -> str:
    """What people call a database."""
    return address.name if isinstance(address, Path) else address.database


@contextmanager
def _locked(database: Path) -> Iterator[None]:
    """Hold the lock beside the file; waits for other processes."""
    database.parent.mkdir(parents=True, exist_ok=True)
    lock = database.with_name(f"{database.name}.lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _file(database: Path) -> Iterator[sa.Connection]:
    engine = sa.create_engine("sqlite://", creator=lambda: _open(database), poolclass=sa.NullPool)
    sa.event.listen(engine, "begin", _begin)
    try:
        with engine.connect() as connection:
            yield connection
    except FOREIGN as error:
        raise translate(error) from error
    finally:
        engine.dispose()


def _open(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(database, timeout=BUSY_TIMEOUT_S, isolation_level=None)


def _begin(connection: sa.Connection) -> None:
    # The driver's own BEGIN comes late and leaves table changes outside.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def _server(address: MySQLAddress, database: str = "") -> Iterator[sa.Connection]:
    with asyncio.Runner() as runner:
        engine = _engine(runner, address, database)
        try:
            with engine.connect() as connection:
                yield connection
        except DBAPIError as error:
            raise _refusal(error, address) from error
        except (SQLAlchemyError, OverflowError, UnicodeError) as error:
            raise unwritable(error) from error
        finally:
            engine.dispose()


def _engine(runner: asyncio.Runner, address: MySQLAddress, database: str) -> sa.Engine:
    from mesh.storage.migrations import _driver  # noqa: PLC0415  # SQLite needs none of it

    return sa.create_engine(
        _driver.URL,
        creator=lambda: _driver.Connection(runner, address, database),
        poolclass=sa.NullPool,
        isolation_level="READ COMMITTED",
    )


def _create_database(server: sa.Connection, name: str) -> None:
    version = str(server.scalar(sa.text("SELECT VERSION()")))
    wanted = collation(version)
    found = _collation(server, name)
    if found is None:
        quoted = name.replace("`", "``")
        server.exec_driver_sql(
            f"CREATE DATABASE IF NOT EXISTS `{quoted}` CHARACTER SET utf8mb4 COLLATE {wanted}"
        )
    elif found != wanted:
        raise SchemaMismatch(
            f"{name} compares text by {found}, which takes different keys for the same: "
            f"before it has tables, run ALTER DATABASE {name} COLLATE {wanted}"
        )


def _collation(server: sa.Connection, database: str) -> str | None:
    found: str | None = server.scalar(
        sa.text(
            "SELECT default_collation_name FROM information_schema.schemata "
            "WHERE schema_name = :name"
        ),
        {"name": database},
    )
    return found


def _refusal(error: DBAPIError, address: MySQLAddress) -> StorageError:
    code, *told = [*getattr(error.orig, "args", ()), ""][:2]
    if code in _LOST or isinstance(error.orig, OSError):
        return StoreUnavailable(f"{address.host}:{address.port} is unavailable: error {code}")
    text = "" if code in _TELLS_VALUES else f": {' '.join(map(str, told))}"
    return StorageError(f"the database refused a statement, error {code}{text}")
