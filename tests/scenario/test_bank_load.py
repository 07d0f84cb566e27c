"""A bank comes into the running platform: sequencer, Ark and customer centre."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bank import Plan, generate, parse_scale
from centers.ark.app import BLUEPRINT as ARK
from centers.customer.app import BLUEPRINT as CUSTOMER
from cli.connect import blocking_channel
from cli.load import RECEIPT, LoadResult, load_bank
from cli.names import LOADER
from engine.ark.v1 import ark_pb2
from engine.ark.v1.ark_pb2_grpc import ArkServiceStub
from engine.customer.v1 import customer_pb2
from engine.customer.v1.customer_pb2_grpc import CustomerServiceStub
from mesh.settings import Settings
from mesh.testing import Mesh
from sequencer.app import BLUEPRINT as SEQUENCER

CUSTOMERS = 5_000
TRUSTED = {
    LOADER: {"ark.import", "customer.import"},
    "ark": ARK.rights,
    "customer": CUSTOMER.rights,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generate(Plan(scale=parse_scale(str(CUSTOMERS)), seed=1), tmp_path / "bank")
    return tmp_path / "bank"


@pytest.fixture
async def settings(mesh: Mesh) -> Settings:
    for name, rights in TRUSTED.items():
        mesh.trust(name, rights)
    for blueprint in (SEQUENCER, ARK, CUSTOMER):
        await mesh.start(blueprint)
    return mesh.settings


def load(folder: Path, settings: Settings) -> LoadResult:
    with (
        blocking_channel("ark", caller=LOADER, settings=settings) as ark,
        blocking_channel("customer", caller=LOADER, settings=settings) as customer,
    ):
        stubs = ArkServiceStub(ark), CustomerServiceStub(customer)
        return load_bank(folder, *stubs, lambda _done, _total: None)


def held(settings: Settings) -> tuple[int, int]:
    with (
        blocking_channel("ark", caller=LOADER, settings=settings) as ark,
        blocking_channel("customer", caller=LOADER, settings=settings) as customer,
    ):
        in_ark = ArkServiceStub(ark).GetStatistics(ark_pb2.GetStatisticsRequest())
        in_centre = CustomerServiceStub(customer).GetStatistics(customer_pb2.GetStatisticsRequest())
    return in_ark.customers, in_centre.customers


async def test_every_customer_arrives(folder: Path, settings: Settings) -> None:
    """Ark and customer centre hold as many as the bank."""
    result = await asyncio.to_thread(load, folder, settings)
    assert result == LoadResult(customers=CUSTOMERS, skipped=False)
    assert await asyncio.to_thread(held, settings) == (CUSTOMERS, CUSTOMERS)


async def test_loading_again_is_skipped(folder: Path, settings: Settings) -> None:
    """The second time the platform is asked, and nothing is sent."""
    await asyncio.to_thread(load, folder, settings)
    assert (await asyncio.to_thread(load, folder, settings)).skipped


async def test_sending_again_changes_nothing(folder: Path, settings: Settings) -> None:
    """Customers who are known are replaced and keep their tokens."""
    await asyncio.to_thread(load, folder, settings)
    (folder / RECEIPT).unlink()
    assert not (await asyncio.to_thread(load, folder, settings)).skipped
    assert await asyncio.to_thread(held, settings) == (CUSTOMERS, CUSTOMERS)
