"""The store on a server that speaks MySQL's protocol: MariaDB, MySQL or TiDB."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Self

from mesh.clock import Clock, SystemClock
from mesh.storage._address import MySQLAddress
from mesh.storage._base import Parameters, Row, Statement, Transaction
from mesh.storage._errors import StorageError
from mesh.storage._mysql._connection import Connection, Means
from mesh.storage._mysql._pool import Pool
from mesh.storage._mysql._relay_turn import LockTurns
from mesh.storage._mysql._scan import Scans
from mesh.storage._mysql._server import Dialect, Server
from mesh.storage._mysql._session import Kind
from mesh.storage._mysql._single import SingleConnection
from mesh.storage._mysql._tables import make_tables
from mesh.storage._mysql._transaction import MySQLTransaction
from mesh.storage._mysql._writer import Writer
from mesh.storage._options import MySQLOptions
from mesh.storage._outbox import TableOutbox
from mesh.storage._purge import Purge
from mesh.storage._slow import SlowStatements
from mesh.storage._statements import Statements
from mesh.storage._unit import Effects, Unit
from mesh.telemetry import Meters, Tracer


class MySQLStore:
    """A `Store` on one database of a server. An async context manager: entering opens it.

    It keeps what `SQLiteStore` promises: the transactions of all processes run one after
    another, so that what one has read stays true until it ends. That costs a round trip
    for each group of transactions, and writers of one database wait for each other: see
    `mesh.storage._mysql._writer`. Reads run beside each other, on a pool of connections,
    and so do statements that are transactions of their own.

    Entering makes the database and the store's own tables when they are not there. The
    server may be restarted while it is open: what was not acknowledged raises
    `StoreUnavailable`, and what comes after works as soon as the server does.

    Args:
        address: the database.
        tracer: gets a span for each statement and commit of a sampled trace.
        meters: counts `storage.transactions`, `storage.commits`, `storage.slow_statements`.
        clock: dates the answers kept for calls with a request id.
        options: bounds.

    `outbox` has what its transactions published.
    """

    def __init__(
        self,
        address: MySQLAddress,
        *,
        tracer: Tracer,
        meters: Meters | None = None,
        clock: Clock | None = None,
        options: MySQLOptions | None = None,
    ) -> None:
        self._tracer = tracer
        self._clock = clock or SystemClock()
        self._options = options or MySQLOptions()
        meters = meters or Meters()
        means = Means(
            statements=Statements(Dialect()),
            tracer=tracer,
            slow=SlowStatements(self._options.slow_statement_s, meters),
            options=self._options,
        )
        self._server = Server(address, means)
        self._effects: Effects = Effects()
        self._pool = Pool(self._connect, self._options)
        self._singles = Pool(self._connect_single, self._options)
        self._transactions = meters.counter("storage.transactions")
        self._commits = meters.counter("storage.commits")
        self._scans = Scans(self._server, self._options)
        self._writer = Writer(self._server, self._options, meters)
        wait_s = min(self._options.relay_wait_s, self._options.timeout_s / 2)
        self._turns = LockTurns(self._server, wait_s)
        self.outbox = TableOutbox(self, self._turns.turn)

    async def __aenter__(self) -> Self:
        await self._make()
        async with AsyncExitStack() as opened:
            opened.push_async_callback(self._pool.close)
            opened.push_async_callback(self._singles.close)
            opened.callback(self._scans.close)
            opened.push_async_callback(self._turns.close)
            await opened.enter_async_context(self._writer)
            await opened.enter_async_context(Purge(self, self._clock, self._options))
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
        return await self._pool.read(lambda connection: connection.fetch(statement, parameters))

    def scan(
        self, statement: Statement, parameters: Parameters | None = None
    ) -> AsyncGenerator[Sequence[Row], None]:
        return self._scans.blocks(statement, parameters)

    async def execute(self, statement: Statement, parameters: Parameters | None = None) -> int:
        self._writer.refuse_nested()
        hit = await self._singles.write(lambda single: single.execute(statement, parameters))
        self._transactions.add()
        self._commits.add()
        return hit

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        unit = Unit(self._effects, self._clock)
        return MySQLTransaction(self._writer, unit, self._tracer, self.outbox.published)

    async def _connect(self) -> Connection:
        return await self._server.connect(Kind.READ, Connection)

    async def _connect_single(self) -> SingleConnection:
        return await self._server.connect(Kind.SINGLE, SingleConnection)

    async def _make(self) -> None:
        await self._server.make_database()
        connection = await self._server.connect(Kind.PLAIN, Connection)
        try:
            await make_tables(connection, self._server.database)
        except StorageError:
            connection.close()
            raise
        await connection.leave()
