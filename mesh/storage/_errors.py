"""What can go wrong in a store, whichever driver is below it.

No error carries values of rows or parameters: its text may be logged.
"""

from __future__ import annotations

from sqlalchemy.exc import CompileError, InvalidRequestError

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
    it is answered if it had its effect. After `Store.execute`, look for what it wrote.
    """


class StatementTooSlow(StorageError):  # noqa: N818
    """A statement ran longer than a statement on the event loop may."""


class SchemaMismatch(StorageError):  # noqa: N818
    """The database is not at the schema that the program expects."""


def unwritable(error: Exception) -> StorageError:
    """The storage error for one that SQLAlchemy, not a driver, raised about a statement."""
    told = str(error) if isinstance(error, CompileError | InvalidRequestError) else ""
    return StorageError(f"the statement cannot be run: {type(error).__name__} {told}".rstrip())
