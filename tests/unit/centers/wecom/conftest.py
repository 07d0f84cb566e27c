"""A database of the centre's own for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from centers.wecom.app import BLUEPRINT
from mesh.storage import SQLiteStore, migrations
from mesh.telemetry import NullTracer


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "wecom.db"
    assert BLUEPRINT.migrations is not None
    migrations.upgrade(path, BLUEPRINT.migrations)
    return path


@pytest.fixture
async def store(database: Path) -> AsyncIterator[SQLiteStore]:
    async with SQLiteStore(database, tracer=NullTracer()) as store:
        yield store
