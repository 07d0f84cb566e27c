"""The rules that keep statements fit for MariaDB, MySQL and TiDB."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from cli import compose
from mesh.service import Blueprint
from mesh.storage import SQLiteStore, lint
from mesh.telemetry import NullTracer

SERVICES = [s for s in compose.blueprints(demo=True).values() if s.migrations is not None]

ITEM = sa.Table(
    "item",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(20), nullable=False),
    sa.Column("data", sa.LargeBinary),
)
PROMISED = sa.Table(
    "promised",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    info={"ordered": "a reason"},
)
KEYED = sa.Table(
    "keyed", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True, autoincrement=False)
)


def rules(statement: Any) -> list[str]:
    compiled = statement.compile(dialect=sqlite.dialect())
    return [refusal.rule for refusal in lint.refusals(compiled)]


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        (sa.text("SELECT id FROM item FOR UPDATE"), "locks rows"),
        (sa.text("SELECT id FROM item FOR UPDATE SKIP LOCKED"), "locks rows"),
        (sa.select(ITEM.c.id).with_for_update(), "locks rows"),
        (sa.delete(ITEM).returning(ITEM.c.id), "RETURNING"),
        (sa.text("DELETE FROM item RETURNING id"), "RETURNING"),
        (sa.text("INSERT INTO item VALUES (1) ON DUPLICATE KEY UPDATE id = 2"), "upsert"),
        (sa.text("INSERT OR IGNORE INTO item VALUES (1)"), "upsert"),
        (sa.text("REPLACE INTO item VALUES (1)"), "upsert"),
        (sqlite.insert(ITEM).on_conflict_do_nothing(), "cannot be written"),
        (sa.text("PRAGMA user_version"), "only SQLite"),
        (sa.text("SELECT name || 'x' FROM item"), "only SQLite"),
        (sa.select(sa.func.julianday(ITEM.c.name)), "not known"),
        (sa.select(sa.func.json_extract(ITEM.c.name, "$.x")), "cast it"),
        (sa.select(sa.func.length(ITEM.c.name)), "characters"),
        (sa.select(ITEM.c.name).order_by(ITEM.c.id.desc()), "AUTO_INCREMENT"),
    ],
)
def test_a_statement_that_breaks_a_rule_is_refused(statement: sa.Executable, rule: str) -> None:
    """The refusal names the rule."""
    assert any(rule in found for found in rules(statement)), rules(statement)


@pytest.mark.parametrize(
    "statement",
    [
        sa.select(sa.func.count(), sa.func.max(ITEM.c.id)),
        sa.select(sa.func.length(ITEM.c.data)),
        sa.select(sa.cast(sa.func.json_extract(ITEM.c.name, "$.x"), sa.BigInteger)),
        sa.select(PROMISED.c.id).order_by(PROMISED.c.id),
        sa.select(KEYED.c.id).order_by(KEYED.c.id),
        sa.select(ITEM.c.id).order_by(ITEM.c.name, ITEM.c.id),
        sa.insert(ITEM).values(name="FOR UPDATE"),
        sa.text("SELECT 'a || b' FROM item"),
    ],
)
def test_a_statement_that_every_database_understands_passes(statement: sa.Executable) -> None:
    """A reason that stands with the table counts; words within values do not."""
    assert rules(statement) == []


async def test_what_a_store_compiles_is_seen_once(tmp_path: Path) -> None:
    """By who watches, and as long as he does."""
    found: list[lint.Refusal] = []
    async with SQLiteStore(tmp_path / "test.db", tracer=NullTracer()) as store:
        with lint.watch(found):
            for _ in range(2):
                await store.fetch_all(sa.text("PRAGMA user_version"))
        await store.fetch_all(sa.text("PRAGMA application_id"))
    assert ["PRAGMA user_version" in str(refusal) for refusal in found] == [True]


REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
{said}

def upgrade():
    op.create_table("item", sa.Column("id", sa.Integer, primary_key=True))
    {change}
"""


def broken(tmp_path: Path, change: str, said: str = "") -> list[str]:
    versions = tmp_path / "service" / "migrations" / "versions"
    versions.mkdir(parents=True)
    (versions / "0001.py").write_text(REVISION.format(change=change, said=said))
    return [refusal.rule for refusal in lint.refusals_of(versions.parent)]


NOT_NULL = 'op.add_column("old", sa.Column("n", sa.Integer, nullable=False{}))'
UNIQUE = 'op.create_index("one", "{}", ["n"], unique=True)'


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ('op.execute("INSERT INTO item VALUES (1)")', "tables or rows"),
        ('op.execute("ALTER TABLE item ADD a INT, DROP b")', "one change of a table"),
        ('op.create_foreign_key("f", "item", "customer", ["id"], ["id"])', "no foreign key"),
        ('op.drop_table("old")', "takes a table away"),
        ('op.drop_column("old", "n")', "takes a column away"),
        ('op.alter_column("old", "n", type_=sa.Text(), existing_type=sa.Integer())', "retypes"),
        (NOT_NULL.format(""), "do not fill"),
        (UNIQUE.format("old"), "refuses rows"),
    ],
)
def test_a_revision_that_breaks_a_rule_is_refused(tmp_path: Path, change: str, rule: str) -> None:
    """The refusal names the service, the revision and the rule."""
    found = broken(tmp_path, change)
    assert any(rule in each and each.startswith("service/0001: ") for each in found), found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ('op.execute("INSERT INTO item VALUES (1)")', 'changes_data = "why"'),
        ('op.drop_table("old")', "contracts = True"),
        (NOT_NULL.format(', server_default="0"'), ""),
        (UNIQUE.format("item"), ""),
        ('op.create_index("many", "old", ["n"])', ""),
        ('op.drop_index("many", "old")', ""),
    ],
)
def test_a_revision_that_only_adds_or_says_so_passes(
    tmp_path: Path, change: str, said: str
) -> None:
    """What stands with the revision counts."""
    assert broken(tmp_path, change, said) == []


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_the_revisions_of_each_service_keep_the_rules(service: Blueprint) -> None:
    """As MySQL would get them."""
    assert service.migrations is not None
    assert [str(refusal) for refusal in lint.refusals_of(service.migrations)] == []
