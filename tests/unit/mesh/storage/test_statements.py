"""SQLAlchemy statements as text, values and rows."""

# SQLite's DateTime is without a zone.
# ruff: noqa: DTZ001

from __future__ import annotations

import enum
import sqlite3
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.schema import CreateTable

from mesh.storage import StorageError
from mesh.storage._base import Row, Statement
from mesh.storage._statements import CACHED, Statements


class Tier(enum.Enum):
    GOLD = 1
    SILVER = 2


class Upper(sa.types.TypeDecorator[str]):
    """Kept in capitals, read in small letters."""

    impl = sa.String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return value.upper() if value else value

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return value.lower() if value else value


METADATA = sa.MetaData()
THINGS = sa.Table(
    "thing",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(20)),
    sa.Column("at", sa.DateTime),
    sa.Column("day", sa.Date),
    sa.Column("ok", sa.Boolean),
    sa.Column("raw", sa.LargeBinary),
    sa.Column("tier", sa.Enum(Tier)),
    sa.Column("data", sa.JSON),
    sa.Column("code", Upper),
)
NOTHING: Mapping[str, Any] = {}


class Database:
    """Runs prepared statements on a database in memory."""

    def __init__(self) -> None:
        self.statements = Statements()
        self.raw = sqlite3.connect(":memory:", isolation_level=None)

    def run(self, statement: Statement, parameters: Mapping[str, Any] = NOTHING) -> list[Row]:
        prepared = self.statements.prepare(statement, parameters)
        cursor = self.raw.execute(*prepared.bind(parameters))
        return prepared.plan.rows(cursor.description, cursor.fetchall())


@pytest.fixture
def database() -> Iterator[Database]:
    opened = Database()
    opened.run(CreateTable(THINGS))
    yield opened
    opened.raw.close()


def test_types_survive_the_way_there_and_back(database: Database) -> None:
    """A row has the values that went in, whatever SQLite keeps."""
    values = {
        "id": 1,
        "name": "一",
        "at": datetime(2026, 1, 2, 3, 4, 5, 678),
        "day": date(2026, 1, 2),
        "ok": True,
        "raw": b"\x00\xff",
        "tier": Tier.SILVER,
        "data": {"a": [1, None]},
        "code": "abc",
    }
    database.run(sa.insert(THINGS), values)
    (row,) = database.run(sa.select(THINGS))
    assert dict(zip(values, row, strict=True)) == values
    assert database.raw.execute("SELECT code FROM thing").fetchone() == ("ABC",)


def test_missing_values_are_null(database: Database) -> None:
    """An insert names only the columns that it is given."""
    database.run(sa.insert(THINGS), {"id": 1})
    (row,) = database.run(sa.select(THINGS.c.name, THINGS.c.at, THINGS.c.tier))
    assert tuple(row) == (None, None, None)


def test_a_list_may_have_any_length_at_each_run(database: Database) -> None:
    """`IN` over a parameter is written anew for every list, the empty one too."""
    for number in range(1, 6):
        database.run(sa.insert(THINGS), {"id": number, "at": datetime(2026, 1, number)})
    among = sa.select(THINGS.c.id).where(THINGS.c.id.in_(sa.bindparam("ids", expanding=True)))
    for ids in ([1, 2], [], [3, 4, 5]):
        assert [row.id for row in database.run(among, {"ids": ids})] == ids
    dates = [datetime(2026, 1, 2), datetime(2026, 1, 4)]
    assert len(database.run(sa.select(THINGS).where(THINGS.c.at.in_(dates)))) == 2


def test_statements_of_one_structure_keep_their_own_values(database: Database) -> None:
    """The text is shared, the values are not."""
    for number in range(1, 4):
        database.run(sa.insert(THINGS).values(id=number, name=f"n{number}"))
    for number in (3, 1, 2):
        statement = sa.select(THINGS.c.name).where(THINGS.c.id == number)
        assert database.run(statement)[0].name == f"n{number}"
        assert database.run(statement)[0].name == f"n{number}"


def test_one_statement_is_compiled_once(database: Database) -> None:
    """The same object gives the same preparation; the same structure the same plan."""

    def build(number: int) -> sa.Select[Any]:
        return sa.select(THINGS.c.id).where(THINGS.c.id == number)

    first, second = build(1), build(2)
    prepared = database.statements.prepare(first, {})
    assert database.statements.prepare(first, {}) is prepared
    assert database.statements.prepare(second, {}).plan is prepared.plan


def test_the_cache_is_bounded(database: Database) -> None:
    """Statements of ever new structure do not pile up."""
    for number in range(CACHED * 2):
        database.run(sa.text(f"SELECT {number}"))
    assert database.statements._prepared.cache_info().currsize <= CACHED
    assert len(database.statements._plans) <= CACHED * 1.5


def test_preset_values_can_be_overridden(database: Database) -> None:
    """A value given at the run goes before one given with the statement."""
    chosen = sa.select(sa.bindparam("x", 5, sa.Integer).label("x"))
    assert database.run(chosen)[0].x == 5
    assert database.run(chosen, {"x": 6})[0].x == 6
    required = sa.select(sa.bindparam("x", type_=sa.Integer).label("x")).params(x=7)
    assert database.run(required)[0].x == 7


def test_a_value_may_be_worked_out_at_each_run(database: Database) -> None:
    """A callable parameter is called every time."""
    numbers = iter([1, 2])
    statement: Statement = sa.select(sa.bindparam("x", callable_=lambda: next(numbers)).label("x"))
    assert [database.run(statement)[0].x for _ in range(2)] == [1, 2]


def test_a_missing_value_is_named() -> None:
    """The error says which parameter the statement needs."""
    prepared = Statements().prepare(sa.select(THINGS).where(THINGS.c.id == sa.bindparam("key")), {})
    with pytest.raises(StorageError, match="'key'"):
        prepared.bind({})


def test_python_defaults_are_refused() -> None:
    """Better an error than a default that silently does not apply."""
    table = sa.Table(
        "t",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("n", sa.Integer, default=lambda: 7),
    )
    with pytest.raises(StorageError, match=r"t\.n has a default computed in Python"):
        Statements().prepare(sa.insert(table), {"id": 1})


def test_text_statements_may_name_their_types(database: Database) -> None:
    """Plain SQL gives plain values; with `columns` it gives the types, matched by name."""
    database.run(sa.insert(THINGS), {"id": 1, "at": datetime(2026, 1, 2)})
    text = sa.text("SELECT at, id FROM thing WHERE id = :id")
    assert database.run(text, {"id": 1})[0].at == "2026-01-02 00:00:00.000000"
    typed = text.columns(id=sa.Integer, at=sa.DateTime)
    assert tuple(database.run(typed, {"id": 1})[0]) == (datetime(2026, 1, 2), 1)


def test_columns_without_a_usable_name_answer_by_position(database: Database) -> None:
    """Keywords, expressions and doubles do not break the row."""
    (row,) = database.run(sa.text('SELECT 1 AS "class", 2 AS n, 3 AS n, 4 + 1'))
    assert (row.n, row[0], row[2], row[3], len(row)) == (2, 1, 3, 5, 4)


def test_an_upsert_changes_what_is_there(database: Database) -> None:
    """The dialect's own statements work as others do."""
    insert = upsert(THINGS)
    put = insert.on_conflict_do_update(
        index_elements=["id"], set_={"name": insert.excluded.name}
    ).returning(THINGS.c.name)
    assert database.run(put, {"id": 1, "name": "a"})[0].name == "a"
    assert database.run(put, {"id": 1, "name": "b"})[0].name == "b"
    assert len(database.run(sa.select(THINGS))) == 1


@pytest.mark.parametrize(
    "statement",
    [sa.insert(THINGS), sa.select(THINGS).where(THINGS.c.id == sa.bindparam("id"))],
)
def test_a_misspelt_parameter_is_refused(statement: Statement) -> None:
    """No value is dropped without a word."""
    with pytest.raises(StorageError, match="no parameter 'nme'"):
        Statements().prepare(statement, {"id": 1, "nme": "x"})


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        (sa.select(THINGS), "sql SELECT thing"),
        (sa.insert(THINGS).values(id=1), "sql INSERT thing"),
        (sa.update(THINGS).values(id=1), "sql UPDATE thing"),
        (sa.delete(THINGS), "sql DELETE thing"),
        (sa.text("SELECT 1"), "sql TEXT"),
        (sa.select(sa.literal(1)), "sql SELECT"),
        (sa.union_all(sa.select(THINGS.c.id), sa.select(THINGS.c.id)), "sql COMPOUND_SELECT"),
        (CreateTable(THINGS), "sql CREATE_TABLE"),
    ],
)
def test_a_span_is_named_after_operation_and_table(statement: Statement, name: str) -> None:
    """Values never show in it."""
    assert Statements().prepare(statement, {}).plan.span_name == name
