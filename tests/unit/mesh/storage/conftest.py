"""A store on a fresh file, with one table."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from mesh.storage import SQLiteOptions, SQLiteStore
from mesh.telemetry import Meters, NullTracer

OpenStore = Callable[..., SQLiteStore]


@pytest.fixture
def sql_rules() -> None:
    """These tests are about SQLite itself."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is."""
    return tmp_path / "data" / "test.db"


@pytest.fixture
def meters() -> Meters:
    """The numbers of the store."""
    return Meters()


@pytest.fixture
def open_store(path: Path, meters: Meters) -> OpenStore:
    """Opens a store on the same file, with what the test wants otherwise."""

    def build(**changes: Any) -> SQLiteStore:
        return SQLiteStore(path, **{"tracer": NullTracer(), "meters": meters, **changes})

    return build


@pytest.fixture
def item() -> sa.Table:
    """A table of numbered items; its `parent` is checked at the commit."""
    return sa.Table(
        "item",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("n", sa.Integer, nullable=False, server_default="0"),
        sa.Column("parent", sa.ForeignKey("item.id", deferrable=True, initially="DEFERRED")),
    )


@pytest.fixture
async def store(open_store: OpenStore, item: sa.Table) -> AsyncIterator[SQLiteStore]:
    """An open store with the table.

    Its groups are not bounded in time: what queues together commits together
    on a slow machine too.
    """
    async with open_store(options=SQLiteOptions(group_s=60.0)) as opened:
        async with opened.transaction() as tx:
            await tx.execute(CreateTable(item))
        yield opened
