"""Rules that keep the statements of services fit for MariaDB, MySQL and TiDB.

Tests run on SQLite and MariaDB; MySQL 8 and TiDB are kept to by rule. Every statement
that a test executes passes here when it is compiled, see `watch`; `refusals_of` reads
the revisions of a service as MySQL would get them. What breaks a rule with reason says
so where it stands:

    sa.Table("bus_event", ..., info={"ordered": "why the order of its AUTO_INCREMENT holds"})

    changes_data = "why this revision changes rows and tables"  # beside `revision`
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import ExecutableDDLElement
from sqlalchemy.sql import visitors
from sqlalchemy.sql.compiler import Compiled
from sqlalchemy.sql.functions import Function

from mesh.storage import _statements
from mesh.storage._mysql._types import MySQLTypes

FUNCTIONS: Final = frozenset(
    {"avg", "coalesce", "count", "get_lock", "length", "max", "min", "release_lock", "sum"}
)
"""Functions that answer the same everywhere; `length` of bytes."""

_NUMBERED: Final = frozenset({"json_extract"})
"""These answer the same once they are cast: SQLite gives a value, MySQL a piece of JSON."""

_TEXTS: Final = {
    "locks rows, which TiDB partly ignores; the one writer needs none": (
        r"\bFOR UPDATE\b|\bSKIP LOCKED\b|\bLOCK IN SHARE MODE\b|\bFOR SHARE\b"
    ),
    "RETURNING is unknown to MySQL: select, then change, in the transaction": r"\bRETURNING\b",
    "an upsert tells another number of rows on each database: update, then insert": (
        r"\bON CONFLICT\b|\bON DUPLICATE KEY\b|\bREPLACE INTO\b|\bINSERT (OR|IGNORE)\b"
    ),
    "only SQLite knows it": (
        r"\bPRAGMA\b|\bAUTOINCREMENT\b|\bROWID\b|\bGLOB\b|\bWITHOUT ROWID\b|\bsqlite_|\|\|"
    ),
}
_QUOTED: Final = re.compile(r"'(?:[^'\\]|\\.|'')*'")
_CHANGES: Final = ("INSERT", "UPDATE", "DELETE", "REPLACE")
_MANY_IN_ONE: Final = re.compile(
    r"ALTER TABLE .*,\s*(ADD|DROP|MODIFY|CHANGE|RENAME|ALTER)\b", re.DOTALL
)
_CONTRACTS: Final = {
    "takes a table away": r"^DROP TABLE\b",
    "takes a column away": r"^ALTER TABLE \S+ DROP (COLUMN )?(?!INDEX|CONSTRAINT|FOREIGN|CHECK)",
    "renames or retypes": r"^ALTER TABLE \S+ (CHANGE|MODIFY|RENAME)\b|^RENAME TABLE\b",
    "wants a column that programs before it do not fill": (
        r"^ALTER TABLE \S+ ADD (COLUMN )?(?!.*DEFAULT).*NOT NULL"
    ),
    "refuses rows that programs before it write": (
        r"^CREATE UNIQUE INDEX \S+ ON (?P<table>\S+)|^ALTER TABLE \S+ ADD CONSTRAINT"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A statement and the rule that it breaks."""

    rule: str
    statement: str

    def __str__(self) -> str:
        return f"{self.rule}:\n    {' '.join(self.statement.split())}"


@contextmanager
def watch(found: list[Refusal]) -> Iterator[None]:
    """Add what breaks a rule to a list, once for each statement that stores compile meanwhile."""
    seen: set[str] = set()

    def see(compiled: Compiled) -> None:
        if compiled.string not in seen:
            seen.add(compiled.string)
            found.extend(refusals(compiled))

    before, _statements.watcher = _statements.watcher, see
    try:
        yield
    finally:
        _statements.watcher = before


def refusals(compiled: Compiled) -> Sequence[Refusal]:
    """The rules that a statement breaks, compiled for whichever database."""
    statement: Any = compiled.statement
    if statement is None:
        return []
    try:
        text = _for_mysql(statement, getattr(compiled, "column_keys", None))
    except SQLAlchemyError as error:
        return [Refusal(rule=f"it cannot be written for MySQL, {error}", statement=str(compiled))]
    broken = [*_of_text(text)]
    if not isinstance(statement, ExecutableDDLElement):
        broken += [*_of_functions(statement), *_of_order(statement)]
    return [Refusal(rule=rule, statement=text) for rule in dict.fromkeys(broken)]


def refusals_of(migrations: Path) -> Sequence[Refusal]:
    """The rules that the revisions in a folder break."""
    from mesh.storage.migrations._revisions import Revisions  # noqa: PLC0415 - takes 0.2 s

    found: list[Refusal] = []
    tables: set[str] = set()
    for script in Revisions(migrations).after(None):
        texts = _written(script.module)
        made = {name for text in texts for name in re.findall(r"^CREATE TABLE (\S+)", text)}
        tables |= made
        broken = [(rule, text) for text in texts for rule in _of_change(text, tables)]
        if not getattr(script.module, "contracts", False):
            broken += [(rule, text) for text in texts for rule in _of_contracting(text, made)]
        changed = [text for text in texts if text.startswith(_CHANGES)]
        if changed and len(changed) < len(texts) and not hasattr(script.module, "changes_data"):
            broken.append(("a revision changes tables or rows, not both", changed[0]))
        place = f"{migrations.parent.name}/{script.revision}"
        found += [Refusal(rule=f"{place}: {rule}", statement=text) for rule, text in broken]
    return found


def _dialect() -> sa.Dialect:
    dialect = mysql.dialect()
    dialect.type_compiler_instance = MySQLTypes(dialect)
    return dialect


_DIALECT: Final = _dialect()


def _for_mysql(statement: Any, column_keys: Sequence[str] | None) -> str:
    if isinstance(statement, ExecutableDDLElement):
        return str(statement.compile(dialect=_DIALECT))
    return str(statement.compile(dialect=_DIALECT, column_keys=column_keys))


def _of_text(text: str) -> Iterator[str]:
    bare = _QUOTED.sub("''", text)
    for rule, pattern in _TEXTS.items():
        if re.search(pattern, bare, re.IGNORECASE):
            yield rule


def _of_functions(statement: Any) -> Iterator[str]:
    cast = {
        id(inner)
        for element in visitors.iterate(statement)
        if isinstance(element, sa.Cast)
        for inner in visitors.iterate(element.clause)
    }
    for element in visitors.iterate(statement):
        if not isinstance(element, Function):
            continue
        name = element.name.lower()
        if name in _NUMBERED and id(element) not in cast:
            yield f"{name}() is a value on one database and JSON on another: cast it"
        if name == "length" and not _is_binary(element):
            yield "length() of a text counts characters on one database and bytes on another"
        if name not in FUNCTIONS | _NUMBERED:
            yield f"{name}() is not known to answer the same on each database"


def _is_binary(function: Function[Any]) -> bool:
    return all(isinstance(clause.type, sa.LargeBinary) for clause in function.clauses)


def _of_order(statement: Any) -> Iterator[str]:
    for element in visitors.iterate(statement):
        first = next(iter(getattr(element, "_order_by_clauses", ())), None)
        column = next((c for c in visitors.iterate(first) if isinstance(c, sa.Column)), None)
        table = getattr(column, "table", None)
        if not isinstance(table, sa.Table) or table.autoincrement_column is not column:
            continue
        if "ordered" not in table.info:
            yield f"the order of an AUTO_INCREMENT ({table.name}) is nobody's promise"


def _of_change(text: str, tables: set[str]) -> Iterator[str]:
    if not text.startswith("CREATE TRIGGER"):
        yield from _of_text(text)
    if _MANY_IN_ONE.match(_QUOTED.sub("''", re.sub(r"\([^()]*\)", "", text))):
        yield "TiDB takes one change of a table at a time"
    for name in re.findall(r"\bREFERENCES (\S+)", text):
        if name not in tables:
            yield f"{name} is not a table of this service: no foreign key leads there"


def _of_contracting(text: str, made: set[str]) -> Iterator[str]:
    for what, pattern in _CONTRACTS.items():
        match = re.search(pattern, " ".join(text.split()), re.IGNORECASE)
        if match is not None and match.groupdict().get("table") not in made:
            yield f"it {what}: say 'contracts = True'"


def _written(module: Any) -> Sequence[str]:
    """The statements of a revision as MySQL would get them."""
    from alembic.migration import MigrationContext  # noqa: PLC0415 - takes 0.2 s
    from alembic.operations import Operations  # noqa: PLC0415

    out = StringIO()
    options = {"as_sql": True, "output_buffer": out}
    with Operations.context(MigrationContext.configure(dialect=_DIALECT, opts=options)):
        module.upgrade()
    return [text.strip() for text in out.getvalue().split(";\n\n") if text.strip()]
