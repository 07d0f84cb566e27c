"""The bounds of a store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOptions:
    """Bounds that every store has; the defaults suit a service.

    Args:
        group_size: transactions that share one commit, at most.
        group_s: seconds after which a group takes none that came after it began.
        queue_size: transactions that may wait for the writer, and reads for a connection.
        close_s: seconds that closing waits for the block of a transaction to end.
        scans: scans that may be open at once, each with a connection of its own.
        slow_statement_s: seconds from which a statement is logged as slow.
        relay_wait_s: seconds that a relay waits for its turn to pass on events.
        idempotency_kept: how long answers to calls with a request id are kept.
        inbox_kept: how long before the last one the store remembers which events its
            consumers had.
        purge_every_s: seconds between two removals of older ones.
    """

    group_size: int = 64
    group_s: float = 0.005
    queue_size: int = 10_000
    close_s: float = 5.0
    scans: int = 64
    slow_statement_s: float = 0.2
    relay_wait_s: float = 2.0
    idempotency_kept: timedelta = timedelta(hours=24)
    inbox_kept: timedelta = timedelta(days=7)
    purge_every_s: float = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SQLiteOptions(StoreOptions):
    """Bounds of an SQLite store; the defaults suit a service.

    Args:
        statement_limit_s: seconds of processor time that a statement on the event loop may take.
        busy_timeout_s: seconds to wait while another process writes.
        wal_limit_bytes: size of the write-ahead log above which it is emptied into the database.
        scan_threads: threads that scans share.
    """

    statement_limit_s: float = 0.25
    busy_timeout_s: float = 5.0
    wal_limit_bytes: int = 16 << 20
    scan_threads: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class MySQLOptions(StoreOptions):
    """Bounds of a store on MariaDB, MySQL or TiDB; the defaults suit a service.

    Args:
        pool: connections for reads, and as many for statements that write by themselves.
        timeout_s: seconds until a connection counts as lost. A statement is ended by
            the server somewhat before that.
        scan_block_s: seconds that a block of a scan may take to come.
        max_packet_bytes: size of a packet below which several statements share one.
    """

    pool: int = 8
    timeout_s: float = 5.0
    scan_block_s: float = 60.0
    max_packet_bytes: int = 1 << 20
