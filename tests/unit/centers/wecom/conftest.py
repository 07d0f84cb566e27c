"""A database of the centre's own for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from centers.wecom.app import BLUEPRINT
from mesh.storage import Address, Store, migrations, open_store
from mesh.telemetry import NullTracer
from tests.chosen import Stores


@pytest.fixture
def database(tmp_path: Path, stores: Stores) -> Address:
    place = stores.address(tmp_path, "wecom")
    assert BLUEPRINT.migrations is not None
    migrations.upgrade(place, BLUEPRINT.migrations)
    return place


@pytest.fixture
async def store(database: Address) -> AsyncIterator[Store]:
    async with open_store(database, tracer=NullTracer()) as store:
        yield store
