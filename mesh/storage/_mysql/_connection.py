"""One connection to the server: statements under a deadline, storage errors, spans."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from mesh.storage._base import Parameters, Row, Statement
from mesh.storage._errors import StorageError, StoreUnavailable
from mesh.storage._mysql._errors import FOREIGN, ends_transaction, is_lost, translate
from mesh.storage._mysql._values import plain
from mesh.storage._options import MySQLOptions
from mesh.storage._slow import SlowStatements
from mesh.storage._statements import Prepared, Statements
from mesh.telemetry import SpanKind, Tracer, current_trace

Act = Callable[[], Awaitable[int]]

NOTHING: Final[Mapping[str, Any]] = {}


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
        await self._observed(prepared, partial(self._send, text, values))
        return prepared.plan.rows(self._cursor.description, await self._cursor.fetchall())

    async def execute(self, statement: Statement, parameters: Parameters | None) -> int:
        """Run a statement; the number of rows it hit."""
        given = parameters or NOTHING
        prepared = self._prepare(statement, given)
        text, values = self._bind(prepared, given)
        return await self._observed(prepared, partial(self._send, text, values))

    async def command(self, text: str, values: Sequence[Any] = ()) -> Sequence[tuple[Any, ...]]:
        """Run SQL of the store's own, without span; its rows."""
        async with self._sure():
            await self._send(text, values)
        rows: Sequence[tuple[Any, ...]] = await self._cursor.fetchall()
        return rows

    def close(self) -> None:
        """Close at once; an open transaction is rolled back. Once more does nothing."""
        raw, self._raw = self._raw, None
        if raw is not None:
            raw.close()

    async def leave(self) -> None:
        """Say goodbye, as far as the server still listens, and close."""
        raw, self._raw = self._raw, None
        if raw is None:
            return
        try:
            async with asyncio.timeout(self._means.options.timeout_s):
                await raw.ensure_closed()
        except (*FOREIGN, OSError, TimeoutError):
            raw.close()

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

    async def _observed(self, prepared: Prepared, act: Act) -> int:
        """Run a statement under a deadline, with its span, and note it when it is slow."""
        began, rows = time.monotonic(), 0
        slow = self._means.slow
        try:
            rows = await self._traced(prepared, act)
        finally:
            took_s = time.monotonic() - began
            if took_s >= slow.limit_s:
                slow.note(prepared.plan.compiled.string, took_s, rows)
        return rows

    async def _traced(self, prepared: Prepared, act: Act) -> int:
        trace = current_trace()
        if trace is None or not trace.sampled:
            async with self._sure(prepared):
                return await act()
        with self._means.tracer.span(prepared.plan.span_name, SpanKind.CLIENT, trace) as span:
            span.set("db.system", "mysql")
            span.set("db.operation", prepared.plan.operation)
            async with self._sure(prepared):
                return await act()

    @asynccontextmanager
    async def _sure(
        self, prepared: Prepared | None = None, limit_s: float | None = None
    ) -> AsyncIterator[None]:
        """Bound what is awaited, and close the connection when its state is not known then."""
        if not self.is_open:
            raise StoreUnavailable("the connection to the database was closed")
        self.used += 1
        try:
            async with asyncio.timeout(limit_s or self._means.options.timeout_s):
                yield
        except TimeoutError:
            self.close()
            raise StoreUnavailable("the database did not answer in time") from None
        except FOREIGN as error:
            if is_lost(error):
                self.close()
            self._failed(error)
            raise translate(error, prepared.plan.table if prepared else None) from None
        except OSError:
            self.close()
            raise StoreUnavailable("the connection to the database broke") from None
        except BaseException:
            self.close()
            raise

    def _failed(self, error: Exception) -> None:
        """A statement was refused."""
        _ = error


TAKE_TURN: Final = (
    "UPDATE engine_turn SET turn = turn + 1 WHERE id = 1",
    "SELECT turn, position FROM engine_turn WHERE id = 1",
)


class WritingConnection(Connection):
    """A connection that has the turn of its database while a group runs.

    What a unit begins with, or what undoes it, travels with the next statement: a round
    trip each would cost more than the statement. Statements of one unit that come at once
    are run one after another.
    """

    def __init__(self, raw: Any, means: Means) -> None:
        super().__init__(raw, means)
        self._ahead: list[str] = []
        self._is_ahead = False
        self._one = asyncio.Lock()
        self.is_whole = False
        """Whether the group's transaction still has all that its units did."""

    async def take_turn(self) -> tuple[int, int]:
        """Begin a group: wait for all other writers; this turn's number, the last position."""
        self._ahead.clear()
        async with self._sure():
            await self._send_packet(TAKE_TURN)
            ((turn, position),) = await self._cursor.fetchall()
        self.is_whole = True
        return turn, position

    def begin_unit(self) -> None:
        """Mark where the unit begins."""
        self._ahead.append("SAVEPOINT unit")

    def undo_unit(self) -> None:
        """Go back to where the unit began."""
        if self._ahead and self._ahead[-1] == "SAVEPOINT unit":
            self._ahead.pop()  # nothing ran since
        else:
            self._ahead.append("ROLLBACK TO SAVEPOINT unit")

    async def execute_many(self, statement: Statement, sets: Sequence[Parameters]) -> int:
        """Run a statement once for each of several parameter sets; the rows hit in all."""
        if any(given.keys() != sets[0].keys() for given in sets):
            raise StorageError("the parameter sets have different names")
        prepared = self._prepare(statement, sets[0], many=True)
        bound = [self._bind(prepared, given) for given in sets]
        if prepared.plan.is_insert and not prepared.plan.varies:
            return await self._observed(prepared, partial(self._insert_many, bound))
        return await self._observed(prepared, partial(self._send_each, bound))

    async def end_group(self, texts: Sequence[str]) -> None:
        """Run complete SQL, several texts in one packet where they fit, the last one `COMMIT`."""
        packet: list[str] = []
        async with self._sure():
            for text in (*self._taken_ahead(), *texts):
                if packet and sum(map(len, packet)) > self._means.options.max_packet_bytes:
                    await self._send_packet(packet)
                    packet = []
                packet.append(text)
            await self._send_packet(packet)
        self.is_whole = False

    async def roll_back(self) -> None:
        """End a group of which nothing is kept."""
        self._ahead.clear()
        self.is_whole = False
        await self.command("ROLLBACK")

    def close(self) -> None:
        self.is_whole = False
        super().close()

    def written(self, text: str, values: Sequence[Any]) -> str:
        """Complete SQL: the text with its values."""
        complete: str = self._cursor.mogrify(text, plain(values))
        return complete

    async def _send(self, text: str, values: Sequence[Any]) -> int:
        async with self._one:
            ahead = self._taken_ahead()
            self._is_ahead = bool(ahead)
            hit = await super()._send("; ".join((*ahead, text)), values)
            for left in range(len(ahead), 0, -1):
                self._is_ahead = left > 1
                await self._cursor.nextset()
                hit = self._cursor.rowcount
            if not self._raw.get_transaction_status():
                self.is_whole = False  # the statement committed what was before it
            return hit

    async def _insert_many(self, bound: Sequence[tuple[str, Sequence[Any]]]) -> int:
        async with self._one:
            if ahead := self._taken_ahead():
                self._is_ahead = True
                await self._send_packet(ahead)
                self._is_ahead = False
            hit: int = await self._cursor.executemany(bound[0][0], [values for _, values in bound])
            return hit

    async def _send_each(self, bound: Sequence[tuple[str, Sequence[Any]]]) -> int:
        return sum([await self._send(text, values) for text, values in bound])

    async def _send_packet(self, texts: Sequence[str]) -> None:
        await self._cursor.execute("; ".join(texts))
        for _ in texts[1:]:
            await self._cursor.nextset()

    def _taken_ahead(self) -> list[str]:
        ahead, self._ahead = self._ahead, []
        return ahead

    def _failed(self, error: Exception) -> None:
        if self._is_ahead or ends_transaction(error):
            self.is_whole = False
