"""One database per service, behind one small interface."""

from mesh.storage._address import Address, MySQLAddress, address, mysql_address
from mesh.storage._base import Outbox, RelayTurn, Row, Statement, Store, Transaction
from mesh.storage._errors import (
    IntegrityViolation,
    OutcomeUnknown,
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
from mesh.storage._open import open_store
from mesh.storage._options import MySQLOptions, SQLiteOptions, StoreOptions
from mesh.storage._record import CallRecord, call_record
from mesh.storage._sqlite._store import SQLiteStore

__all__ = [
    "Address",
    "CallRecord",
    "IdempotentCall",
    "Inbox",
    "IntegrityViolation",
    "MySQLAddress",
    "MySQLOptions",
    "Outbox",
    "OutcomeUnknown",
    "RelayTurn",
    "Replayed",
    "Row",
    "SQLiteOptions",
    "SQLiteStore",
    "SchemaMismatch",
    "Statement",
    "StatementTooSlow",
    "StorageError",
    "Store",
    "StoreOptions",
    "StoreUnavailable",
    "Transaction",
    "address",
    "call_record",
    "idempotent_call",
    "mysql_address",
    "open_store",
    "purge_idempotency",
    "purge_inbox",
]
