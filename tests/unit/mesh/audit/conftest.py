"""A service with a database, whose audited calls can be looked at."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mesh.audit import AuditLog
from mesh.clock import ManualClock
from mesh.storage import SQLiteStore
from mesh.telemetry import NullTracer
from mesh.tokens import ServiceKey, write_trust
from tests.unit.mesh.audit.desk import Desk


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    async with SQLiteStore(tmp_path / "test.db", tracer=NullTracer()) as store:
        yield store


@pytest.fixture
def desk(store: SQLiteStore, tmp_path: Path) -> Desk:
    """A service with a database."""
    write_trust(tmp_path / "keys", {"desk": ()})
    return Desk(
        store=store,
        log=AuditLog(store=store, clock=ManualClock(), policy_version="0123456789ab"),
        key=ServiceKey.load(tmp_path / "keys", "desk"),
    )
