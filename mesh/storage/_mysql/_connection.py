"""One connection to the server: statements under a deadline, storage errors, spans."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from mesh.storage._base import Parameters, Row, Statement
from mesh.storage._errors import StorageError, StoreUnavailable
from mesh.storage._mysql._errors import FOREIGN, ConnectionLost, is_lost, translate
from mesh.storage._mysql._values import plain
from mesh.storage._mysql._watch import Watch
from mesh.storage._options import MySQLOptions
from mesh.storage._slow import SlowStatements
from mesh.storage._statements import Prepared, Statements
from mesh.telemetry import SpanKind, Tracer, current_trace

NOTHING: Final[Mapping[str, Any]] = {}

DRIVER: Final = (*FOREIGN, OSError)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What all connections of a store share."""

    statements: Statements
    tracer: Tracer
    slow: SlowStatements
    options: MySQLOptions


class Connection:
    """A connection that is either sure of its state or closed.

    Used by one task at a time. A statement that is cancelled, or is not answered in
    time, closes it: what the server did about it is not known.

    Args:
        raw: the driver's connection, set up.
        means: what it shares with others.
    """

    def __init__(self, raw: Any, means: Means) -> None:
        self._raw = raw
        self._means = means
        self._cursor = raw.cursor()
        self._watch = Watch(self._abort)
        self.used = 0
        """Statements that it ran; a connection that never ran one is surely alive."""

    @property
    def is_open(self) -> bool:
        """Whether it may be used. That the server is gone shows when it is."""
        return self._raw is not None and bool(self._raw.connected)

    @property
    def thread_id(self) -> int:
        """By which the server knows it."""
        number: int = self._raw.thread_id()
        return number

    async def fetch(self, statement: Statement, parameters: Parameters | None) -> list[Row]:
        """Run a statement; its rows."""
        given = parameters or NOTHING
        prepared = self._prepare(statement, given)
        text, values = self._bind(prepared, given)
        await self._run(self._send, text, values, prepared=prepared)
        return prepared.plan.rows(self._cursor.description, await self._cursor.fetchall())

    async def execute(self, statement: Statement, parameters: Parameters | None) -> int:
        """Run a statement; the number of rows it hit."""
        given = parameters or NOTHING
        prepared = self._prepare(statement, given)
        text, values = self._bind(prepared, given)
        return await self._run(self._send, text, values, prepared=prepared)

    async def command(self, text: str, values: Sequence[Any] = ()) -> Sequence[tuple[Any, ...]]:
        """Run SQL of the store's own, without span; its rows."""
        await self._run(self._send, text, values)
        rows: Sequence[tuple[Any, ...]] = await self._cursor.fetchall()
        return rows

    def close(self) -> None:
        """Close at once; an open transaction is rolled back. Once more does nothing."""
        raw, self._raw = self._raw, None
        self._watch.close()
        if raw is not None:
            raw.close()

    async def leave(self) -> None:
        """Say goodbye, as far as the server still listens, and close."""
        raw, self._raw = self._raw, None
        self._watch.close()
        if raw is None:
            return
        try:
            async with asyncio.timeout(self._means.options.timeout_s):
                await raw.ensure_closed()
        except (*FOREIGN, OSError, TimeoutError):
            raw.close()

    def _abort(self) -> None:
        # Closing would wait until what was written has been taken.
        self._raw._transport.abort()  # noqa: SLF001 - there is no public way

    def _prepare(
        self, statement: Statement, parameters: Parameters, *, many: bool = False
    ) -> Prepared:
        try:
            return self._means.statements.prepare(statement, parameters, many=many)
        except FOREIGN as error:
            raise translate(error) from None

    def _bind(self, prepared: Prepared, given: Parameters) -> tuple[str, Sequence[Any]]:
        try:
            text, values = prepared.bind(given)
            return text, plain(values)
        except FOREIGN as error:
            raise translate(error) from None

    async def _send(self, text: str, values: Sequence[Any]) -> int:
        """Run SQL whose `%` are doubled; the rows it hit."""
        hit: int = await self._cursor.execute(text, values)
        return hit

    async def _run(
        self,
        act: Callable[..., Awaitable[T]],
        *given: Any,
        prepared: Prepared | None = None,
        limit_s: float | None = None,
    ) -> T:
        """Call and await what talks to the server; after it the state is known, or closed.

        A `prepared` statement has a span and is logged when it is slow.
        """
        if not self.is_open:
            raise StoreUnavailable("the connection to the database was closed")
        self.used += 1
        began = time.monotonic()
        self._watch.begin(began, limit_s or self._means.options.timeout_s)
        try:
            trace = current_trace()
            if trace is None or not trace.sampled or prepared is None:
                return await act(*given)
            with self._means.tracer.span(prepared.plan.span_name, SpanKind.CLIENT, trace) as span:
                span.set("db.system", "mysql")
                span.set("db.operation", prepared.plan.operation)
                return await act(*given)
        except DRIVER as error:
            raise self._refusal(error, prepared) from None
        except BaseException:
            self.close()
            raise
        finally:
            self._watch.end()
            took_s = time.monotonic() - began
            if took_s >= self._means.slow.limit_s and prepared is not None:
                rows = max(self._cursor.rowcount, 0)
                self._means.slow.note(prepared.plan.compiled.string, took_s, rows)

    def _refusal(self, error: Exception, prepared: Prepared | None) -> StorageError:
        """What to raise for an error of the driver."""
        if self._watch.is_over:
            self.close()
            return StoreUnavailable("the database did not answer in time")
        if isinstance(error, OSError) or is_lost(error):
            self.close()
        if isinstance(error, OSError):
            return ConnectionLost("the connection to the database broke")
        return translate(error, prepared.plan.table if prepared else None)
