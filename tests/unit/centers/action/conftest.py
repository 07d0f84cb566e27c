"""An office of its own for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from centers.action.app import BLUEPRINT
from mesh.storage import SQLiteStore, migrations
from mesh.telemetry import NullTracer
from tests.unit.centers.action.office import Office


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "action.db"
    assert BLUEPRINT.migrations is not None
    migrations.upgrade(path, BLUEPRINT.migrations)
    return path


@pytest.fixture
async def store(database: Path) -> AsyncIterator[SQLiteStore]:
    async with SQLiteStore(database, tracer=NullTracer()) as store:
        yield store


@pytest.fixture
async def office(store: SQLiteStore) -> Office:
    return Office(store)
