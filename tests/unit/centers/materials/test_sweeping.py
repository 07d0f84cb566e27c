"""What was uploaded is forgotten once it is submitted, and not before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from centers.materials.app import BLUEPRINT, KIND
from centers.materials.sweeping import Sweeping
from centers.materials.upload_rows import Uploads
from engine.materials.v1 import materials_pb2
from mesh.clock import ManualClock
from mesh.definitions import Definitions
from mesh.storage import SQLiteStore, migrations
from mesh.telemetry import NullTracer

DRAFT, SUBMITTED = 1, 2


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    path = tmp_path / "materials.db"
    assert BLUEPRINT.migrations is not None
    migrations.upgrade(path, BLUEPRINT.migrations)
    async with SQLiteStore(path, tracer=NullTracer()) as store:
        yield store


async def test_uploads_of_drafts_alone_are_kept(store: SQLiteStore) -> None:
    """Whatever process left the others behind."""
    uploads = Uploads(store)
    definitions = Definitions(
        store, KIND, materials_pb2.Material, ManualClock(), name_of=lambda body: body.title
    )
    async with store.transaction() as tx:
        for number in (DRAFT, SUBMITTED):
            await definitions.create(
                tx,
                definition_id=number,
                version_id=number,
                body=materials_pb2.Material(),
                author="hq",
            )
            for first in (0, 4):
                await uploads.add(tx, number, first, b"part")
        await definitions.submit(tx, SUBMITTED, actor="hq")
    await Sweeping(store, definitions, uploads).sweep()
    assert await uploads.versions() == [DRAFT]
    assert [part async for part in uploads.content(DRAFT)] == [b"part", b"part"]
