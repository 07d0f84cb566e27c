"""Slow statements show, without what they are about."""

from __future__ import annotations

import logging

import pytest
import sqlalchemy as sa

from mesh.storage import SQLiteOptions
from mesh.storage._slow import TEXT_LIMIT, SlowStatements
from mesh.telemetry import Meters
from tests.unit.mesh.storage.conftest import OpenStore

SLOW = sa.text(
    "WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM c WHERE x < 50000) "
    "SELECT max(x), :name AS name FROM c"
)


async def test_a_slow_statement_is_logged_without_its_values(
    open_store: OpenStore, meters: Meters, caplog: pytest.LogCaptureFixture
) -> None:
    """Its SQL with placeholders, how long it took and how many rows it had."""
    options = SQLiteOptions(slow_statement_s=0.002, statement_limit_s=60.0)
    async with open_store(options=options) as store:
        with caplog.at_level(logging.WARNING, "engine"):  # others may be slow, too
            await store.fetch_all(SLOW, {"name": "secret"})
    told = [vars(r) for r in caplog.records if r.message == "statement_slow"]
    assert len([one for one in told if "RECURSIVE" in str(one)]) == 1
    assert "secret" not in str(told)
    assert meters.counter("storage.slow_statements").value >= 1


async def test_a_fast_statement_is_not_logged(open_store: OpenStore, meters: Meters) -> None:
    """Nobody would read them."""
    async with open_store(options=SQLiteOptions(slow_statement_s=60.0)) as store:
        await store.fetch_all(sa.text("SELECT 1"))
    assert meters.counter("storage.slow_statements").value == 0


def test_what_is_logged_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    """A statement may be long."""
    with caplog.at_level(logging.WARNING, "engine"):
        SlowStatements(0.1, Meters()).note("SELECT " + "x" * 10_000, 0.2, 3)
    (record,) = caplog.records
    assert len(str(vars(record))) < TEXT_LIMIT + 2_000
