"""SQLAlchemy Core statements as text and values for a driver.

SQLAlchemy writes the SQL; running it through SQLAlchemy would cost several
times the query itself. So a statement is compiled once, and later runs only
put its values in order. This module alone knows SQLAlchemy's compiler.
"""

# The compiler's cache, processors and result columns have no public names.
# ruff: noqa: SLF001

from __future__ import annotations

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, lru_cache, partial
from typing import Any, Final, cast

from sqlalchemy.dialects.sqlite import pysqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import ExecutableDDLElement, Table
from sqlalchemy.sql.compiler import Compiled, SQLCompiler
from sqlalchemy.sql.elements import BindParameter, ClauseElement
from sqlalchemy.util import LRUCache

from mesh.storage._base import Parameters, Row, Statement
from mesh.storage._errors import StorageError

CACHED: Final = 500
"""Statements kept compiled: by object, and by structure for those built anew each time."""

Processor = Callable[[Any], Any]
MakeRows = Callable[[Iterable[Any]], list[Row]]

watcher: Callable[[Compiled], None] | None = None
"""Sees each statement when it is compiled; tests put `mesh.storage.lint` there."""

_REQUIRED: Final = object()


class Plan:
    """What is the same for all statements of one structure."""

    def __init__(self, compiled: Compiled) -> None:
        self.compiled = compiled
        self.sql = compiled if isinstance(compiled, SQLCompiler) else None
        self._make_rows: MakeRows | None = None
        if self.sql is not None:
            _refuse_python_defaults(self.sql)
        if watcher is not None:
            watcher(compiled)

    @cached_property
    def processors(self) -> Mapping[str, Processor]:
        """What turns a value into the driver's, by parameter name."""
        found = cast(
            "Mapping[str, Processor | None]", self.sql._bind_processors if self.sql else {}
        )
        return {name: processor for name, processor in found.items() if processor}

    @cached_property
    def varies(self) -> bool:
        """Whether the text or a value must be worked out at each run."""
        if self.sql is None:
            return False
        late = self.sql.post_compile_params or self.sql.literal_execute_params
        return bool(late) or any(bind.callable for bind in self.sql.bind_names)

    @cached_property
    def operation(self) -> str:
        """The kind of statement: "SELECT", "INSERT" and so on."""
        visit_name = str(getattr(self.compiled.statement, "__visit_name__", "statement"))
        return visit_name.replace("textclause", "text").upper()

    @cached_property
    def span_name(self) -> str:
        """The operation and the first table it names."""
        statement: Any = self.compiled.statement
        if hasattr(statement, "get_final_froms"):
            tables = statement.get_final_froms()
        else:
            tables = [getattr(statement, "table", None)]
        name = getattr(tables[0], "name", "") if tables else ""
        return f"sql {self.operation} {name}".rstrip()

    @cached_property
    def is_insert(self) -> bool:
        """Whether it adds rows."""
        return self.sql is not None and self.sql.isinsert

    @cached_property
    def table(self) -> Table | None:
        """The table that it changes; None for a read, and where SQL was given as text."""
        table = getattr(self.compiled.statement, "table", None)
        return table if isinstance(table, Table) else None

    def refuse_unknown(self, keys: Iterable[str]) -> None:
        """Raise a StorageError for a parameter that the statement would drop."""
        binds = self.sql.bind_names if self.sql else {}
        unknown = set(keys) - {bind.key for bind in binds} - set(binds.values())
        if unknown:
            raise StorageError(f"the statement has no parameter {min(unknown)!r}")

    def rows(self, description: Sequence[Any] | None, found: Iterable[Any]) -> list[Row]:
        """The driver's tuples as rows, with the statement's types.

        Args:
            description: the columns as the driver's cursor describes them.
            found: the tuples.
        """
        if self._make_rows is None:
            if description is None:
                return []
            self._make_rows = self._row_maker([entry[0] for entry in description])
        return self._make_rows(found)

    def _row_maker(self, names: Sequence[str]) -> MakeRows:
        row_type = namedtuple("Row", names, rename=True)  # type: ignore[misc]  # noqa: PYI024
        make: Callable[[Iterable[Any]], Any] = partial(tuple.__new__, row_type)
        processors = self._result_processors(names)
        if not processors:
            return lambda found: list(map(make, found))

        def convert(values: Iterable[Any]) -> Any:
            converted = list(values)
            for index, processor in processors:
                converted[index] = processor(converted[index])
            return make(converted)

        return lambda found: list(map(convert, found))

    def _result_processors(self, names: Sequence[str]) -> list[tuple[int, Processor]]:
        if self.sql is None:
            return []
        columns = self.sql._result_columns
        if self.sql._ordered_columns or self.sql._textual_ordered_columns:
            types = dict(enumerate(column.type for column in columns))
        else:
            by_name = {column.keyname: column.type for column in columns}
            types = {i: by_name[name] for i, name in enumerate(names) if name in by_name}
        found = ((i, t._cached_result_processor(self.sql.dialect, None)) for i, t in types.items())
        return [(index, processor) for index, processor in found if processor]


_Planned = tuple[Plan, Sequence[BindParameter[Any]] | None, Mapping[str, Any] | None]


class Prepared:
    """One statement with the values that stand in it, ready to be run with the others."""

    def __init__(
        self,
        plan: Plan,
        own: Sequence[BindParameter[Any]] | None,
        preset: Mapping[str, Any] | None,
    ) -> None:
        self.plan = plan
        self._own = own
        self._preset = preset or {}
        self._text = plan.compiled.string
        self._slots = [] if plan.varies or plan.sql is None else self._make_slots(plan.sql)

    def _make_slots(self, sql: SQLCompiler) -> list[tuple[str, Any, Processor | None]]:
        standing = sql.construct_params(self._preset, self._own, escape_names=False, _check=False)
        slots = []
        for name in sql.positiontup or ():
            bind = sql.binds[name]
            missing = bind.required and bind.key not in self._preset
            default = _REQUIRED if missing else standing[name]
            slots.append((bind.key, default, self.plan.processors.get(name)))
        return slots

    def bind(self, parameters: Parameters) -> tuple[str, Sequence[Any]]:
        """Text and values for the driver.

        Raises:
            StorageError: a value is missing.
        """
        if self.plan.varies:
            return self._bind_late(parameters)
        values = []
        for key, default, processor in self._slots:
            value = parameters.get(key, default)
            if value is _REQUIRED:
                raise StorageError(f"the statement needs a value for {key!r}")
            values.append(processor(value) if processor else value)
        return self._text, values

    def _bind_late(self, parameters: Parameters) -> tuple[str, Sequence[Any]]:
        sql = cast("SQLCompiler", self.plan.sql)
        given = sql.construct_params({**self._preset, **parameters}, self._own, escape_names=False)
        state = sql.construct_expanded_state(given, escape_names=False)
        processors = {**self.plan.processors, **state.processors}
        values = []
        for name in state.positiontup or ():
            value, processor = state.parameters[name], processors.get(name)
            values.append(processor(value) if processor else value)
        return state.statement, values


class Statements:
    """Compiles each statement once. Serves one thread.

    Args:
        dialect: of the driver, whose parameters must go by position; None: `sqlite3`.
    """

    def __init__(self, dialect: Dialect | None = None) -> None:
        self._dialect = dialect or pysqlite.dialect(dbapi=sqlite3)
        self._compiled: LRUCache[Any, Compiled] = LRUCache(CACHED)
        self._plans: LRUCache[int, Plan] = LRUCache(CACHED)
        self._prepared = lru_cache(maxsize=CACHED)(self._prepare)

    def prepare(
        self, statement: Statement, parameters: Parameters, *, many: bool = False
    ) -> Prepared:
        """The statement compiled for parameters of these names.

        Raises:
            StorageError: a parameter is not the statement's, or a column default is
                computed in Python.
            sqlalchemy.exc.SQLAlchemyError: it cannot be written as SQL.
        """
        return self._prepared(statement, tuple(parameters), many)

    def _prepare(self, statement: Statement, keys: tuple[str, ...], many: bool) -> Prepared:
        plan, own, preset = self._plan(statement, keys, many)
        plan.refuse_unknown(keys)
        return Prepared(plan, own, preset)

    def _plan(self, statement: Statement, keys: tuple[str, ...], many: bool) -> _Planned:
        if isinstance(statement, ExecutableDDLElement):
            return Plan(statement.compile(dialect=self._dialect)), None, None
        compiled, own, preset, _ = cast("ClauseElement", statement)._compile_w_cache(
            self._dialect,
            compiled_cache=self._compiled,
            column_keys=list(keys),
            for_executemany=many,
        )
        plan = self._plans.get(id(compiled))
        if plan is None:
            plan = self._plans[id(compiled)] = Plan(compiled)
        return plan, own, preset


def _refuse_python_defaults(sql: SQLCompiler) -> None:
    columns = [*sql.insert_prefetch, *sql.update_prefetch]
    if columns:
        raise StorageError(
            f"{columns[0]} has a default computed in Python, which a store does not run: "
            "give the value, or a server default"
        )
