"""Foreign exceptions as storage errors."""

from __future__ import annotations

import sqlite3

import pytest
import sqlalchemy as sa

import mesh.storage
from mesh.storage import (
    IntegrityViolation,
    SchemaMismatch,
    StatementTooSlow,
    StorageError,
    StoreUnavailable,
)
from mesh.storage._sqlite._errors import translate


def coded(kind: type[sqlite3.Error], code: int, text: str = "told") -> sqlite3.Error:
    error = kind(text)
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("foreign", "expected"),
    [
        (coded(sqlite3.OperationalError, sqlite3.SQLITE_BUSY), StoreUnavailable),
        (coded(sqlite3.OperationalError, sqlite3.SQLITE_BUSY_SNAPSHOT), StoreUnavailable),
        (coded(sqlite3.OperationalError, sqlite3.SQLITE_IOERR_FSYNC), StoreUnavailable),
        (coded(sqlite3.OperationalError, sqlite3.SQLITE_FULL), StoreUnavailable),
        (coded(sqlite3.DatabaseError, sqlite3.SQLITE_CORRUPT), StoreUnavailable),
        (coded(sqlite3.OperationalError, sqlite3.SQLITE_INTERRUPT), StatementTooSlow),
        (coded(sqlite3.OperationalError, sqlite3.SQLITE_READONLY), StorageError),
        (coded(sqlite3.OperationalError, sqlite3.SQLITE_ERROR), StorageError),
        (sqlite3.ProgrammingError("Cannot operate on a closed database."), StoreUnavailable),
        (sqlite3.ProgrammingError("type 'object' is not supported"), StorageError),
        (sqlite3.IntegrityError("constraint failed"), IntegrityViolation),
        (sqlite3.Warning("one statement at a time"), StorageError),
        (OverflowError("too large"), StorageError),
        (sa.exc.CompileError("no such thing"), StorageError),
        (
            sa.exc.DBAPIError(
                "SELECT ?", ("13800138000",), coded(sqlite3.DatabaseError, sqlite3.SQLITE_FULL)
            ),
            StoreUnavailable,
        ),
    ],
)
def test_each_foreign_error_has_its_place(foreign: Exception, expected: type[Exception]) -> None:
    """The class tells what can be done; parameters are never in the text."""
    error = translate(foreign)
    assert type(error) is expected
    assert "13800138000" not in str(error)


@pytest.mark.parametrize(
    ("code", "text", "kind", "columns"),
    [
        (
            sqlite3.SQLITE_CONSTRAINT_UNIQUE,
            "UNIQUE constraint failed: t.a, t.b",
            "unique",
            ("t.a", "t.b"),
        ),
        (sqlite3.SQLITE_CONSTRAINT_UNIQUE, "UNIQUE constraint failed: index 'i'", "unique", ()),
        (
            sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
            "UNIQUE constraint failed: t.id",
            "unique",
            ("t.id",),
        ),
        (
            sqlite3.SQLITE_CONSTRAINT_NOTNULL,
            "NOT NULL constraint failed: t.a",
            "not_null",
            ("t.a",),
        ),
        (sqlite3.SQLITE_CONSTRAINT_CHECK, "CHECK constraint failed: a >= 0", "check", ()),
        (sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY, "FOREIGN KEY constraint failed", "foreign_key", ()),
        (sqlite3.SQLITE_CONSTRAINT_TRIGGER, "said by a trigger", "other", ()),
    ],
)
def test_a_violation_names_its_columns(
    code: int, text: str, kind: str, columns: tuple[str, ...]
) -> None:
    """As far as SQLite names them."""
    error = translate(coded(sqlite3.IntegrityError, code, text))
    assert isinstance(error, IntegrityViolation)
    assert (error.kind, error.columns) == (kind, columns)


def test_every_error_has_one_root() -> None:
    """Who catches StorageError catches all of them."""
    for error in (IntegrityViolation, StoreUnavailable, StatementTooSlow, SchemaMismatch):
        assert issubclass(error, StorageError)


def test_every_public_name_is_there() -> None:
    """What the package promises can be imported from it."""
    assert all(hasattr(mesh.storage, name) for name in mesh.storage.__all__)
