"""A service whose lanes are looked at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from typer.testing import CliRunner, Result

from cli.compose import rights
from cli.main import app
from cli.names import OPERATOR
from engine.ark.v1 import ark_pb2
from engine.customer.v1 import customer_pb2, customer_pb2_grpc
from engine.mesh.v1.lane_pb2_grpc import LaneServiceStub
from engine.mesh.v1.policy_pb2 import SCOPE_ALL
from mesh import Blueprint, Principal, Service, Servicer, bus
from mesh import context as wire
from mesh.app import App
from mesh.errors import ErrorView, MeshError, MeshReason
from mesh.testing import Mesh

if TYPE_CHECKING:
    from engine.mesh.v1.lane_pb2_grpc import LaneServiceAsyncStub

Engine = Callable[..., Awaitable[Result]]

MIGRATIONS = Path(bus.__file__).parent / "migrations"
"""They stand for the service's own."""

CANARIES = [
    ark_pb2.CustomerRecord(
        cif=f"77{number:014}",
        name=f"金丝雀{chr(0x4E00 + number)}{number:03}",
        phone=f"199{40_000_000 + number}",
        id_card=f"99010119880808{number:03}X",
        aum_fen=888_888_800,
    )
    for number in range(12)
]


class Toy:
    """Answers for the customer centre and for the Ark."""

    async def GetCustomer(self, request: Any, _: Any) -> Any:
        if request.customer_id == 404:
            raise MeshError(MeshReason.OUT_OF_SCOPE, f"No customer {CANARIES[0].phone}")
        found = customer_pb2.Customer(customer_id=request.customer_id)
        return customer_pb2.GetCustomerResponse(customer=found)

    async def ImportCustomers(self, request: Any, _: Any) -> Any:
        tokens = [ark_pb2.CustomerToken(cif=record.cif) for record in request.records]
        return ark_pb2.ImportCustomersResponse(tokens=tokens)

    GetPortrait = GetFollowUp = ListFollowUps = UpdateFollowUp = CreateFollowUp = GetCustomer
    BatchGetCustomers = ListCustomers = GetStatistics = Query = GetCustomer

    async def in_scope(self, principal: Principal, scope: wire.Scope, row: Any) -> bool:
        return True


def blueprint(name: str = "customer") -> Blueprint:
    """A service with both contracts."""
    toy = Toy()
    descriptors = (
        customer_pb2.DESCRIPTOR.services_by_name["CustomerService"],
        ark_pb2.DESCRIPTOR.services_by_name["ArkService"],
    )
    service = Service(
        servicers=[Servicer(descriptor=d, implementation=toy) for d in descriptors],
        scope_resolver=toy.in_scope,
    )
    return Blueprint(name=name, build=lambda _: service, migrations=MIGRATIONS)


@pytest.fixture
async def served(mesh: Mesh) -> App:
    """The toy as 'customer'; the operator has the rights of the platform's."""
    mesh.trust(OPERATOR, rights({})[OPERATOR])
    mesh.trust("loader", {"ark.import", "customer.import"})
    mesh.trust("gateway", {"*"})
    mesh.trust("stranger", {"sequencer.read"})
    return await mesh.start(blueprint())


@pytest.fixture
def engine(mesh: Mesh) -> Engine:
    """Runs `engine lane …` as the local operator would."""
    environ = {"ENGINE_VAR": str(mesh.settings.var)}

    async def run(*arguments: str) -> Result:
        command = ("lane", *arguments)
        return await asyncio.to_thread(CliRunner().invoke, app, command, env=environ)

    return run


@pytest.fixture
def customers(mesh: Mesh, served: App) -> Any:
    """The gateway's stub, for a user."""
    token = mesh.token("rm001", permissions={"customer.read"}, data_scope=SCOPE_ALL)
    channel = mesh.channel("customer", token=token, caller="gateway", purpose="service")
    return customer_pb2_grpc.CustomerServiceStub(channel)


@pytest.fixture
def lanes(mesh: Mesh, served: App) -> LaneServiceAsyncStub:
    """The operator's stub."""
    return LaneServiceStub(mesh.channel("customer", caller=OPERATOR))


@asynccontextmanager
async def calling(customers: Any) -> AsyncIterator[None]:
    """Customers are asked for, one after another, within the block."""

    async def ask() -> None:
        while True:
            await customers.GetCustomer(customer_pb2.GetCustomerRequest(customer_id=7))

    await customers.GetCustomer(customer_pb2.GetCustomerRequest(customer_id=7))
    asking = asyncio.create_task(ask())
    try:
        yield
    finally:
        asking.cancel()
        await asyncio.wait([asking])


async def refusal(call: Awaitable[Any]) -> ErrorView:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return ErrorView.from_rpc(failed.value)
