"""The bounds of an SQLite store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class SQLiteOptions:
    """Bounds of an SQLite store; the defaults suit a service.

    Args:
        statement_limit_s: seconds of processor time that a statement on the event loop may take.
        busy_timeout_s: seconds to wait while another process writes.
        group_size: transactions that share one commit, at most.
        group_s: seconds after which a group takes none that came after it began.
        queue_size: transactions that may wait for the writer.
        close_s: seconds that closing waits for the block of a transaction to end.
        wal_limit_bytes: size of the write-ahead log above which it is emptied into the database.
        scans: scans that may be open at once, each with a connection of its own.
        scan_threads: threads that scans share.
        idempotency_kept: how long answers to calls with a request id are kept.
        inbox_kept: how long before the last one the store remembers which events its
            consumers had.
        purge_every_s: seconds between two removals of older ones.
    """

    statement_limit_s: float = 0.25
    busy_timeout_s: float = 5.0
    group_size: int = 64
    group_s: float = 0.005
    queue_size: int = 10_000
    close_s: float = 5.0
    wal_limit_bytes: int = 16 << 20
    scans: int = 64
    scan_threads: int = 2
    idempotency_kept: timedelta = timedelta(hours=24)
    inbox_kept: timedelta = timedelta(days=7)
    purge_every_s: float = 3600.0
