"""A database of counters becomes one of logs, and nobody can go on with the counters."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa

from mesh.storage import IntegrityViolation, StorageError, Store, migrations
from sequencer.app import BLUEPRINT
from sequencer.store import SqlCatalogue, SqlLog
from tests.conformance.stores import STORES, place

FIRST = "0001_sequences_and_leases.py"
NAME = "shop.order"
ADD_SEQUENCE = f"INSERT INTO sequence VALUES ('{NAME}', 10, 1000000, 1509, 7, 1)"
ADD_LEASE = f"INSERT INTO lease VALUES ('{NAME}', 7, 1010, 500, 'ops/a', 1, 1)"
COUNT_ON = f"UPDATE sequence SET last_value = last_value + 1 WHERE name = '{NAME}'"


async def run(store: Store, *texts: str) -> None:
    async with store.transaction() as transaction:
        for text in texts:
            await transaction.execute(sa.text(text))


@pytest.mark.parametrize("kind", STORES)
async def test_a_sequence_goes_on_behind_its_last_id(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Its log begins there, and the counters are gone: an old server fails and repeats no id."""
    assert BLUEPRINT.migrations is not None
    old = tmp_path / "old"
    (old / "versions").mkdir(parents=True)
    shutil.copy(BLUEPRINT.migrations / "versions" / FIRST, old / "versions")
    ground = place(kind, request, tmp_path)
    migrations.upgrade(ground.address, old)
    async with ground.open() as store:
        await run(store, ADD_SEQUENCE, ADD_LEASE)

    migrations.upgrade(ground.address, BLUEPRINT.migrations)

    async with ground.open() as store:
        found = await SqlCatalogue(store).find(NAME)
        assert found is not None
        tip = await SqlLog(store).tip(found.uid)
        assert tip is not None
        assert (found.id_at(tip.position), tip.number, found.max_value) == (1510, 8, 1_000_000)
        (held,) = await SqlLog(store).holding(found.uid, 1000, before=8, limit=5)
        assert (found.id_at(held.position), held.size, held.holder) == (1010, 500, "ops/a/")
        with pytest.raises(StorageError) as caught:
            await run(store, COUNT_ON)
        assert not isinstance(caught.value, IntegrityViolation)
