"""What `sqlite3` raises, as storage errors."""

from __future__ import annotations

import sqlite3
from typing import Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from mesh.storage._errors import (
    IntegrityViolation,
    StatementTooSlow,
    StorageError,
    StoreUnavailable,
    unwritable,
)

FOREIGN: Final = (
    sqlite3.Error,
    sqlite3.Warning,
    SQLAlchemyError,
    OverflowError,
    UnicodeError,
)
"""What the driver and SQLAlchemy raise for a statement; `translate` takes it."""

_KINDS: Final = {
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: "unique",
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: "unique",
    sqlite3.SQLITE_CONSTRAINT_ROWID: "unique",
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY: "foreign_key",
    sqlite3.SQLITE_CONSTRAINT_NOTNULL: "not_null",
    sqlite3.SQLITE_CONSTRAINT_CHECK: "check",
}

_UNAVAILABLE: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
    }
)


_CLOSED: Final = "closed database"


def primary_code(error: BaseException) -> int:
    """SQLite's result code without its extension; 0 when it has none."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def translate(error: Exception) -> StorageError:
    """The storage error to raise `from` a foreign one."""
    if isinstance(error, DBAPIError) and isinstance(error.orig, sqlite3.Error):
        error = error.orig
    if isinstance(error, sqlite3.IntegrityError):
        return _integrity(error)
    if isinstance(error, sqlite3.Error | sqlite3.Warning):
        return _refusal(error)
    return unwritable(error)


def _integrity(error: sqlite3.IntegrityError) -> IntegrityViolation:
    kind = _KINDS.get(getattr(error, "sqlite_errorcode", 0), "other")
    _, _, names = str(error).partition(" failed: ")
    named = kind in ("unique", "not_null") and not names.startswith("index ")
    return IntegrityViolation(kind, tuple(names.split(", ")) if named and names else ())


def _refusal(error: Exception) -> StorageError:
    code = primary_code(error)
    if code == sqlite3.SQLITE_INTERRUPT:
        return StatementTooSlow(
            "the statement ran too long for the event loop: use scan for long reads, "
            "an index, or smaller changes"
        )
    if code == sqlite3.SQLITE_READONLY:
        return StorageError("this connection only reads: write within a transaction")
    if code in _UNAVAILABLE or _CLOSED in str(error):
        return StoreUnavailable(f"the database is unavailable: {error}")
    return StorageError(f"the database refused the statement: {error}")
