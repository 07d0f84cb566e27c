"""The embedded store: one SQLite file, short statements inline, one writer, scans in threads."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self
from weakref import WeakSet

from sqlalchemy.schema import CreateIndex, CreateTable

from mesh.clock import Clock, SystemClock
from mesh.storage._base import Parameters, Row, Statement, Transaction
from mesh.storage._idempotency import records
from mesh.storage._inbox import seen as inbox_table
from mesh.storage._options import SQLiteOptions
from mesh.storage._outbox import TableOutbox
from mesh.storage._outbox import events as outbox_table
from mesh.storage._purge import Purge
from mesh.storage._slow import SlowStatements
from mesh.storage._sqlite._connection import Connection
from mesh.storage._sqlite._file import create, wal_bytes
from mesh.storage._sqlite._relay_turn import FileTurns
from mesh.storage._sqlite._scan import Scans
from mesh.storage._sqlite._transaction import SQLiteTransaction
from mesh.storage._sqlite._writer import Writer
from mesh.storage._statements import Statements
from mesh.storage._unit import Effects, Unit
from mesh.telemetry import Meters, Tracer


class SQLiteStore:
    """A `Store` on one SQLite file. An async context manager: entering opens it.

    Several processes may have the same file open. Reads run on the event loop
    and are interrupted after `statement_limit_s`; writes are grouped, and their
    commits wait for the disk in a thread.

    Args:
        path: the database file; made with mode 0600 when there is none.
        synchronous: "FULL": a commit survives a loss of power. "NORMAL": it
            survives the death of the process, and power loss may undo the last ones.
        tracer: gets a span for each statement and commit of a sampled trace.
        meters: counts `storage.transactions` and `storage.commits`, shows `storage.wal_bytes`.
        clock: dates the answers kept for calls with a request id.
        options: bounds.

    `outbox` has what its transactions published.
    """

    def __init__(  # its parts; its bounds are the options
        self,
        path: Path,
        *,
        synchronous: str = "NORMAL",
        tracer: Tracer,
        meters: Meters | None = None,
        clock: Clock | None = None,
        options: SQLiteOptions | None = None,
    ) -> None:
        if synchronous not in ("NORMAL", "FULL"):
            raise ValueError("synchronous must be NORMAL or FULL")
        self._path = path
        self._synchronous = synchronous
        self._tracer = tracer
        self._meters = meters or Meters()
        self._clock = clock or SystemClock()
        self._options = options or SQLiteOptions()
        self._statements = Statements()
        self._slow = SlowStatements(self._options.slow_statement_s, self._meters)
        self._effects: Effects = WeakSet()
        turns = FileTurns(path, self._options.relay_wait_s)
        self.outbox = TableOutbox(self, turns.turn)

    async def __aenter__(self) -> Self:
        create(self._path, self._options.busy_timeout_s)
        async with AsyncExitStack() as opened:
            writing = self._connect(synchronous=self._synchronous)
            opened.callback(writing.close)
            self._reader = self._connect()
            opened.callback(self._reader.close)
            self._scans = Scans(self._connect, self._options)
            opened.callback(self._scans.close)
            self._writer = await opened.enter_async_context(
                Writer(self._path, writing, self._options, self._meters)
            )
            await self._make_records()
            await opened.enter_async_context(Purge(self, self._clock, self._options))
            self._meters.gauge("storage.wal_bytes", lambda: wal_bytes(self._path))
            self._opened = opened.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._opened.aclose()

    async def fetch_all(
        self, statement: Statement, parameters: Parameters | None = None
    ) -> Sequence[Row]:
        return self._reader.fetch(statement, parameters)

    def scan(
        self, statement: Statement, parameters: Parameters | None = None
    ) -> AsyncGenerator[Sequence[Row], None]:
        return self._scans.blocks(statement, parameters)

    async def execute(self, statement: Statement, parameters: Parameters | None = None) -> int:
        unit = Unit(self._effects, self._clock, is_bookkeeping=True)
        async with self._transaction(unit) as transaction:
            return await transaction.execute(statement, parameters)

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        return self._transaction(Unit(self._effects, self._clock))

    def _transaction(self, unit: Unit) -> SQLiteTransaction:
        return SQLiteTransaction(self._writer, unit, self._tracer, self.outbox.published)

    def _connect(self, *, synchronous: str | None = None) -> Connection:
        return Connection(
            self._path,
            statements=self._statements,
            tracer=self._tracer,
            options=self._options,
            slow=self._slow,
            synchronous=synchronous,
        )

    async def _make_records(self) -> None:
        async with self.transaction() as transaction:
            for table in (records, outbox_table, inbox_table):
                await transaction.execute(CreateTable(table, if_not_exists=True))
                for index in table.indexes:
                    await transaction.execute(CreateIndex(index, if_not_exists=True))
