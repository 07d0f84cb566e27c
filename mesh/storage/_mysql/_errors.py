"""What the driver raises, as storage errors, without the server's words: they quote values."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import sqlalchemy as sa
from asyncmy import errors
from asyncmy.constants import CR, ER
from sqlalchemy.exc import SQLAlchemyError

from mesh.storage._errors import (
    IntegrityViolation,
    StatementTooSlow,
    StorageError,
    StoreUnavailable,
    unwritable,
)


class ConnectionLost(StoreUnavailable):
    """The connection is gone; another one may well work."""


FOREIGN: Final = (errors.MySQLError, SQLAlchemyError, OverflowError, UnicodeError)
"""What the driver and SQLAlchemy raise for a statement; `translate` takes it."""

TOO_SLOW: Final = frozenset({1317, 1969, 3024})
UNKNOWN_DATABASE: Final = 1049
DUPLICATE_INDEX: Final = 1061

_KINDS: Final = {
    1062: "unique",
    1586: "unique",
    1216: "foreign_key",
    1217: "foreign_key",
    1451: "foreign_key",
    1452: "foreign_key",
    1048: "not_null",
    1364: "not_null",
    3819: "check",
    4025: "check",
}
_LOST: Final = frozenset({0, 1053, 1080, 1184, 1927, 2003, 2006, 2013, 2014, 2055, 3169, 4031})
_UNAVAILABLE: Final = frozenset(
    # too many connections; no right to come in; full; lock waits; read only; shutting down …
    {1020, 1021, 1037, 1040, 1041, 1044, 1045, 1114, 1129, 1130, 1135, 1203, 1205, 1213, 1226}
    | {1290, 1836, 3572, 9001, 9002, 9003, 9005, 9007}
)
_ROLLED_BACK: Final = frozenset({1020, 1213})
_NAMES: Final = {
    code: name
    for module in (ER, CR)
    for name, code in vars(module).items()
    if isinstance(code, int) and not name.startswith("_")
}
_KEY: Final = re.compile(r"for key '([^']*)'\s*$")
_COLUMN: Final = re.compile(r"^(?:Column|Field) '([^']*)'")


UNDETERMINED: Final = frozenset({1180, 8501})
"""A commit failed, and what became of it the server does not know."""


def code_of(error: BaseException) -> int:
    """The server's or the driver's number of an error; 0 when it has none."""
    code = error.args[0] if isinstance(error, errors.MySQLError) and error.args else 0
    return code if isinstance(code, int) else 0


def ends_transaction(error: BaseException) -> bool:
    """Whether the server rolled the whole transaction back, not the statement alone."""
    return code_of(error) in _ROLLED_BACK


def is_lost(error: BaseException) -> bool:
    """Whether the connection cannot be used any more."""
    return isinstance(error, errors.MySQLError) and code_of(error) in _LOST


def translate(error: Exception, table: sa.Table | None = None) -> StorageError:
    """The storage error to raise `from None`, since a foreign one may quote values.

    Args:
        error: what was raised.
        table: the one that the statement changes.
    """
    if not isinstance(error, errors.MySQLError):
        return unwritable(error)
    code = code_of(error)
    name = f"{_NAMES.get(code, type(error).__name__)} ({code})"
    if code in _KINDS:
        told = str(error.args[1]) if len(error.args) > 1 else ""
        return IntegrityViolation(_KINDS[code], _columns(told, table))
    if code in TOO_SLOW:
        return StatementTooSlow(
            "the statement ran too long: use scan for long reads, an index, or smaller changes"
        )
    if is_lost(error):
        return ConnectionLost(f"the connection to the database is lost: {name}")
    if code in _UNAVAILABLE:
        return StoreUnavailable(f"the database is unavailable: {name}")
    return StorageError(f"the database refused the statement: {name}")


def _columns(told: str, table: sa.Table | None) -> tuple[str, ...]:
    if table is None:
        return ()
    if key := _KEY.search(told):
        return tuple(f"{table.name}.{name}" for name in _of_key(key[1].rpartition(".")[2], table))
    if column := _COLUMN.search(told):
        return (f"{table.name}.{column[1]}",)
    return ()


def _of_key(key: str, table: sa.Table) -> Iterable[str]:
    """The columns of a key; MySQL names one without a name after its first column."""
    if key == "PRIMARY":
        return [column.name for column in table.primary_key.columns]
    uniques: list[Any] = [i for i in table.indexes if i.unique]
    uniques += [c for c in table.constraints if isinstance(c, sa.UniqueConstraint)]
    for unique in uniques:
        names = [column.name for column in unique.columns]
        if unique.name == key or (unique.name is None and names[:1] == [key]):
            return names
    return ()
