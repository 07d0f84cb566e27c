"""The Ark's database keeps tokens, data and the access log."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from centers.ark import tables
from centers.ark.access import Access
from centers.ark.app import BLUEPRINT
from centers.ark.domain import Record
from centers.ark.store import ArkStore
from mesh.clock import ManualClock
from mesh.storage import IntegrityViolation, Store, migrations

START = datetime(2026, 1, 1, tzinfo=UTC)
WANG = Record(
    cif="1000004321",
    name="王小明",
    phone="13812341234",
    id_card="33010219900101123X",
    aum_fen=6_000_000,
)
LI = replace(WANG, cif="1000004322", name="李雷")
ACCESS = Access(
    time=START,
    user="rm001",
    service="customer",
    purpose="service",
    customers=2,
    fields=("name", "phone"),
    trace_id="",
)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def ark_store(store: Store, clock: ManualClock) -> ArkStore:
    return ArkStore(store, clock)


def test_migrations_make_the_tables(database: Path) -> None:
    """The revisions lead to the very tables that the statements are written for."""
    assert BLUEPRINT.migrations is not None
    migrations.check(database, BLUEPRINT.migrations, tables.metadata)


async def test_new_customers_get_spare_tokens(ark_store: ArkStore) -> None:
    """Customers that are new take the spare tokens in order."""
    assert await ark_store.save([WANG, LI], [71, 72]) == [71, 72]
    assert await ark_store.tokens([WANG.cif, LI.cif, "999999"]) == {WANG.cif: 71, LI.cif: 72}


async def test_known_customer_keeps_token_and_gets_new_data(
    ark_store: ArkStore, clock: ManualClock
) -> None:
    """A second import replaces the data under the token that is there."""
    await ark_store.save([WANG], [71])
    clock.advance(60)
    assert await ark_store.save([LI, replace(WANG, phone="13900000000")], [72]) == [72, 71]
    held = await ark_store.held([71])
    assert held[71].record.phone == "13900000000"
    assert held[71].import_time == clock.now()


async def test_unknown_tokens_hold_nothing(ark_store: ArkStore) -> None:
    """Tokens that stand for nobody are left out."""
    await ark_store.save([WANG], [71])
    assert list(await ark_store.held([71, 72])) == [71]


async def test_batch_is_stored_whole_or_not_at_all(ark_store: ArkStore) -> None:
    """When one customer cannot be stored, none of the batch is."""
    await ark_store.save([WANG], [71])
    with pytest.raises(IntegrityViolation):
        await ark_store.save([replace(LI, cif="1000004323"), LI], [73, 71])
    assert (await ark_store.statistics()).customers == 1


async def test_statistics_name_number_and_newest_import(
    ark_store: ArkStore, clock: ManualClock
) -> None:
    """The newest import counts, and an empty Ark has none."""
    empty = await ark_store.statistics()
    assert (empty.customers, empty.import_time) == (0, None)
    await ark_store.save([WANG], [71])
    clock.advance(60)
    await ark_store.save([LI], [72])
    filled = await ark_store.statistics()
    assert (filled.customers, filled.import_time) == (2, clock.now())


async def test_accesses_come_back_in_order(ark_store: ArkStore) -> None:
    """The log gives back what was recorded, at consecutive positions."""
    accesses = [replace(ACCESS, user=f"rm{number:03}") for number in range(5)]
    for access in accesses:
        await ark_store.record(access)
    entries = [entry async for block in ark_store.entries() for entry in block]
    assert [entry.access for entry in entries] == accesses
    assert [entry.position for entry in entries] == [1, 2, 3, 4, 5]
