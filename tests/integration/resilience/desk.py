"""A service with two processes, each with faults of its own, and a channel that counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from engine.customer.v1 import customer_pb2
from engine.customer.v1.customer_pb2 import (
    Customer,
    GetCustomerRequest,
    GetCustomerResponse,
    ListCustomersRequest,
    ListCustomersResponse,
)
from engine.customer.v1.customer_pb2_grpc import CustomerServiceStub
from engine.mesh.v1 import policy_pb2
from mesh import Blueprint, ErrorView, MeshError, Service, Servicer
from mesh.channel import Channel
from mesh.resilience import Counts, Resilience
from mesh.telemetry import Meters
from mesh.testing import Faults, Mesh

CUSTOMERS = customer_pb2.DESCRIPTOR.services_by_name["CustomerService"]
ASK = GetCustomerRequest(customer_id=7)
LIST = ListCustomersRequest()
GET = "/engine.customer.v1.CustomerService/GetCustomer"


class Desk:
    """Answers with its number, and counts its calls and those that were given up."""

    def __init__(self, number: int, order: list[int]) -> None:
        self.number = number
        self.order = order
        self.faults = Faults()
        self.asked = 0
        self.given_up = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: MeshError | None = None
        """What it answers with when it has passed the gate."""

    async def GetCustomer(self, _request: Any, _context: Any) -> GetCustomerResponse:
        self.asked += 1
        self.order.append(self.number)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.given_up.set()
            raise
        if self.error is not None:
            raise self.error
        return GetCustomerResponse(customer=Customer(customer_id=self.number))

    async def ListCustomers(self, _request: Any, _context: Any) -> ListCustomersResponse:
        return ListCustomersResponse()

    def __getattr__(self, _name: str) -> Any:
        return self.GetCustomer  # of methods that no test calls

    def blueprint(self, migrations: Path) -> Blueprint:
        """The service; its contract is audited, so it has a database."""
        served = Servicer(descriptor=CUSTOMERS, implementation=self)
        service = Service(servicers=[served], scope_resolver=_in_reach, author_resolver=_nobody)
        return self.faults.around(
            Blueprint(name="desk", build=lambda _: service, migrations=migrations)
        )


class Desks:
    """The processes, 1 and 2; a channel to them; what the channel counted."""

    def __init__(self, mesh: Mesh, desks: list[Desk], options: Resilience) -> None:
        self.desks = desks
        self.order = desks[0].order
        """Who was asked, one after the other."""
        self.meters = Meters()
        token = mesh.token("rm001", permissions={"customer.read"}, data_scope=policy_pb2.SCOPE_ALL)
        self.channel = Channel(
            "desk",
            mesh.endpoints("desk"),
            mesh.proofs(token=token),
            resilience=options,
            counts=Counts(self.meters),
        )
        self.stub: Any = CustomerServiceStub(self.channel)

    async def ask(self, **options: Any) -> int:
        """Who answered a call."""
        answer = await self.stub.GetCustomer(ASK, **options)
        return int(answer.customer.customer_id)

    def counted(self, name: str) -> int:
        return self.meters.counter(name).value


@asynccontextmanager
async def desks(folder: Path, count: int = 2, **options: Any) -> AsyncIterator[Desks]:
    """So many processes, with lanes open to all of them."""
    async with Mesh(folder) as mesh:
        migrations = folder / "migrations"
        (migrations / "versions").mkdir(parents=True)
        order: list[int] = []
        made = [Desk(number, order) for number in range(1, count + 1)]
        for desk in made:
            await mesh.start(desk.blueprint(migrations), replica=desk.number)
        world = Desks(mesh, made, Resilience(**options))
        async with world.channel:
            while {await world.ask() for _ in range(4)} != {*range(1, count + 1)}:
                pass
            for desk in made:
                desk.asked = 0
            order.clear()
            yield world


async def outcome(call: Any) -> str:
    """How a call ended: "OK", our reason, or the status."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return ErrorView.from_rpc(error).reason or error.code().name
    return "OK"


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop turn until something holds."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - of many parts, which have no events
            await asyncio.sleep(0)


async def _in_reach(principal: Any, scope: Any, row: Any) -> bool:
    return True


async def _nobody(method: Any, row: Any) -> str | None:
    return None
