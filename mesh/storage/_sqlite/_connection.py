"""One connection to an SQLite file: bounded statements, storage errors, spans."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from mesh.storage._base import Parameters, Row, Statement
from mesh.storage._errors import StorageError
from mesh.storage._options import SQLiteOptions
from mesh.storage._slow import SlowStatements
from mesh.storage._sqlite._errors import FOREIGN, primary_code, translate
from mesh.storage._statements import CACHED, Plan, Prepared, Statements
from mesh.telemetry import SpanKind, Tracer, current_trace

STEPS_BETWEEN_CHECKS: Final = 2_000
"""Instructions of SQLite's machine between two looks at the clock: some 20 µs."""

LEAST_CHECKS: Final = 2_000
"""Looks before a statement may be ended: it did 40 ms of work. What took longer was the machine."""

STARVED: Final = 20
"""How many times its bound a statement may take on the clock when the machine is busy."""

NOTHING: Final[Mapping[str, Any]] = {}

_ONLY_READ: Final = "PRAGMA query_only = ON"

T = TypeVar("T")
Given = TypeVar("Given")


class Connection:
    """A connection whose statements end within a bound of processor time.

    The clock would count what other processes take of a busy machine, too; it only
    ends what has stood still for long. And the processor time of a virtual machine counts
    what its host takes: a statement that did little is not ended by it. A connection may
    be used from any thread, by one at a time. What it raises is a `StorageError`.

    Args:
        path: the database file; it must exist.
        statements: compiles what the connection runs.
        tracer: begins a span for each statement of a sampled trace.
        options: give the bound.
        slow: notes what took long.
        synchronous: "FULL" or "NORMAL"; None for a connection that only reads. One
            that writes does not wait for the lock of another: see `try_begin`.
    """

    def __init__(
        self,
        path: Path,
        *,
        statements: Statements,
        tracer: Tracer,
        options: SQLiteOptions,
        slow: SlowStatements,
        synchronous: str | None = None,
    ) -> None:
        self._statements = statements
        self._slow = slow
        self._tracer = tracer
        self._limit_s = options.statement_limit_s
        self._until = math.inf
        self._cpu_until = math.inf
        self._checks = 0
        self._raw = _connect(path, 0.0 if synchronous else self._limit_s)
        self._raw.set_progress_handler(self._is_overdue, STEPS_BETWEEN_CHECKS)
        self.command("PRAGMA foreign_keys = ON")
        self.command(f"PRAGMA synchronous = {synchronous}" if synchronous else _ONLY_READ)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open. SQLite may have ended it by itself, as on a full disk."""
        try:
            return self._raw.in_transaction
        except sqlite3.ProgrammingError:
            return False

    def fetch(self, statement: Statement, parameters: Parameters | None) -> list[Row]:
        """Run a statement; its rows."""
        given = parameters or NOTHING
        return self._run(self._fetch, self._prepare(statement, given), given)

    def execute(self, statement: Statement, parameters: Parameters | None) -> int:
        """Run a statement; the number of rows it changed."""
        given = parameters or NOTHING
        return self._run(self._execute, self._prepare(statement, given), given)

    def execute_many(self, statement: Statement, sets: Sequence[Parameters]) -> int:
        """Run a statement once for each of several parameter sets; the rows changed in all."""
        if any(given.keys() != sets[0].keys() for given in sets):
            raise StorageError("the parameter sets have different names")
        return self._run(self._execute_many, self._prepare(statement, sets[0], many=True), sets)

    def blocks(
        self, statement: Statement, parameters: Parameters | None, size: int
    ) -> Iterator[list[Row]]:
        """The rows of a statement in blocks, without bound, run in the thread that iterates."""
        given = parameters or NOTHING
        prepared = self._prepare(statement, given)
        try:
            text, values = prepared.bind(given)
        except FOREIGN as error:
            raise translate(error) from error
        return self._blocks(prepared.plan, text, values, size)

    def command(self, text: str) -> None:
        """Run SQL of the store's own, without bound and span."""
        self._until = self._cpu_until = math.inf
        try:
            self._raw.execute(text).fetchall()
        except FOREIGN as error:
            raise translate(error) from error

    def try_begin(self) -> bool:
        """Begin a writing transaction; False when another connection is writing."""
        self._until = self._cpu_until = math.inf
        try:
            self._raw.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            if primary_code(error) == sqlite3.SQLITE_BUSY:
                return False
            raise translate(error) from error
        return True

    def interrupt(self) -> None:
        """End what runs in another thread, with `StatementTooSlow` there, for good."""
        self._until = -math.inf
        self._raw.interrupt()

    def close(self) -> None:
        """Close; an open transaction is rolled back. Once more does nothing."""
        self._raw.close()

    def _prepare(
        self, statement: Statement, parameters: Parameters, *, many: bool = False
    ) -> Prepared:
        try:
            return self._statements.prepare(statement, parameters, many=many)
        except FOREIGN as error:
            raise translate(error) from error

    def _run(self, act: Callable[[Prepared, Given], T], prepared: Prepared, given: Given) -> T:
        began = time.monotonic()
        self._until = began + STARVED * self._limit_s
        self._cpu_until = time.thread_time() + self._limit_s
        self._checks = 0
        found: Any = 0
        try:
            found = self._traced(act, prepared, given)
        except FOREIGN as error:
            raise translate(error) from error
        finally:
            took_s = time.monotonic() - began
            if took_s >= self._slow.limit_s:
                rows = found if isinstance(found, int) else len(found)
                self._slow.note(prepared.plan.compiled.string, took_s, rows)
        return cast("T", found)

    def _traced(self, act: Callable[[Prepared, Given], T], prepared: Prepared, given: Given) -> T:
        trace = current_trace()
        if trace is None or not trace.sampled:
            return act(prepared, given)
        with self._tracer.span(prepared.plan.span_name, SpanKind.CLIENT, trace) as span:
            span.set("db.system", "sqlite")
            span.set("db.operation", prepared.plan.operation)
            return act(prepared, given)

    def _fetch(self, prepared: Prepared, parameters: Parameters) -> list[Row]:
        cursor = self._raw.execute(*prepared.bind(parameters))
        return prepared.plan.rows(cursor.description, cursor.fetchall())

    def _execute(self, prepared: Prepared, parameters: Parameters) -> int:
        cursor = self._raw.execute(*prepared.bind(parameters))
        if cursor.description is not None:
            cursor.fetchall()
        return max(cursor.rowcount, 0)

    def _execute_many(self, prepared: Prepared, sets: Sequence[Parameters]) -> int:
        bound = [prepared.bind(parameters) for parameters in sets]
        if prepared.plan.varies:
            return sum(max(self._raw.execute(*each).rowcount, 0) for each in bound)
        cursor = self._raw.executemany(bound[0][0], [values for _, values in bound])
        return max(cursor.rowcount, 0)

    def _blocks(
        self, plan: Plan, text: str, values: Sequence[Any], size: int
    ) -> Iterator[list[Row]]:
        try:
            cursor = self._raw.execute(text, values)
            while found := cursor.fetchmany(size):
                yield plan.rows(cursor.description, found)
        except FOREIGN as error:
            raise translate(error) from error

    def _is_overdue(self) -> bool:
        self._checks += 1
        worked = self._checks > LEAST_CHECKS and time.thread_time() > self._cpu_until
        return worked or time.monotonic() > self._until


def _connect(path: Path, busy_timeout_s: float) -> sqlite3.Connection:
    try:
        return sqlite3.connect(
            path,
            timeout=busy_timeout_s,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=CACHED,
        )
    except sqlite3.Error as error:
        raise translate(error) from error
