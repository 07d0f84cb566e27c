"""What can go wrong in a store, whichever driver is below it.

No error carries values of rows or parameters: its text may be logged.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from sqlalchemy.exc import CompileError, DBAPIError, InvalidRequestError, SQLAlchemyError

# Each is named after what happened; "Error" would add nothing.


class StorageError(Exception):
    """Root of everything a store raises; as such: a statement or a value it cannot take."""


class IntegrityViolation(StorageError):  # noqa: N818
    """A constraint of the schema refused the change; nothing of the statement was kept.

    Args:
        kind: "unique" (primary keys too), "foreign_key", "not_null", "check" or "other".
        columns: the columns it names, as "table.column"; empty where the database tells none.
    """

    def __init__(self, kind: str, columns: tuple[str, ...] = ()) -> None:
        self.kind = kind
        self.columns = columns
        super().__init__(f"constraint violated: {kind} {', '.join(columns)}".rstrip())


class StoreUnavailable(StorageError):  # noqa: N818
    """The database cannot be reached, stayed locked, or could not make a change durable.

    Nothing of the transaction was kept; the same may be tried again.
    """


class OutcomeUnknown(StoreUnavailable):
    """The answer to a commit was lost, and the database cannot be asked what became of it.

    All of the transaction was kept, or nothing. A call with a request id may come again:
    it is answered if it had its effect.
    """


class StatementTooSlow(StorageError):  # noqa: N818
    """A statement ran longer than a statement on the event loop may."""


class SchemaMismatch(StorageError):  # noqa: N818
    """The database is not at the schema that the program expects."""


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
    told = str(error) if isinstance(error, CompileError | InvalidRequestError) else ""
    return StorageError(f"the statement cannot be run: {type(error).__name__} {told}".rstrip())


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
