"""One database per service, behind one small interface."""

from mesh.storage._base import Outbox, Row, Statement, Store, Transaction
from mesh.storage._errors import (
    IntegrityViolation,
    SchemaMismatch,
    StatementTooSlow,
    StorageError,
    StoreUnavailable,
)
from mesh.storage._idempotency import (
    IdempotentCall,
    Replayed,
    idempotent_call,
    purge_idempotency,
)
from mesh.storage._inbox import Inbox, purge_inbox
from mesh.storage._options import SQLiteOptions
from mesh.storage._record import CallRecord, call_record
from mesh.storage._sqlite import SQLiteStore

__all__ = [
    "CallRecord",
    "IdempotentCall",
    "Inbox",
    "IntegrityViolation",
    "Outbox",
    "Replayed",
    "Row",
    "SQLiteOptions",
    "SQLiteStore",
    "SchemaMismatch",
    "Statement",
    "StatementTooSlow",
    "StorageError",
    "Store",
    "StoreUnavailable",
    "Transaction",
    "call_record",
    "idempotent_call",
    "purge_idempotency",
    "purge_inbox",
]
