"""A service of the mesh that `engine call` calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from cli.names import OPERATOR
from engine.customer.v1 import customer_pb2
from engine.mesh.v1 import trust_pb2
from mesh import Blueprint, Parts, Principal, Service, Servicer, bus
from mesh import context as wire
from mesh.testing import Mesh

Engine = Callable[..., Awaitable[Result]]

MIGRATIONS = Path(bus.__file__).parent / "migrations"
"""They stand for the service's own."""


@dataclass
class Toy:
    """Answers with what it was asked; `seen` is who asked for what."""

    seen: list[tuple[wire.RequestContext, Any]] = field(default_factory=list)
    watched: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def GetCustomer(self, request: Any, _: Any) -> Any:
        self.seen.append((wire.current(), request))
        return customer_pb2.GetCustomerResponse(
            customer=customer_pb2.Customer(customer_id=request.customer_id)
        )

    async def CreateFollowUp(self, request: Any, _: Any) -> Any:
        self.seen.append((wire.current(), request))
        return customer_pb2.CreateFollowUpResponse(follow_up=request.follow_up)

    async def WatchRevocations(self, _request: Any, _: Any) -> AsyncIterator[Any]:
        try:
            for session in ("a", "b"):
                told = trust_pb2.WatchRevocationsResponse()
                told.revocations.add(session_id=session)
                yield told
            self.watched.set()
            await asyncio.Event().wait()
        finally:
            self.left.set()

    async def GetStatistics(self, request: Any, _: Any) -> Any:
        self.seen.append((wire.current(), request))
        return customer_pb2.GetStatisticsResponse(customers=3)

    async def PollRevocations(self, _request: Any, _: Any) -> Any:
        return trust_pb2.PollRevocationsResponse()

    async def GetKeySet(self, _request: Any, _: Any) -> Any:
        """Slower than anybody waits for."""
        self.watched.set()
        await asyncio.Event().wait()

    GetPortrait = GetFollowUp = ListFollowUps = UpdateFollowUp = GetCustomer
    BatchGetCustomers = ImportCustomers = ListCustomers = GetCustomer

    async def in_scope(self, principal: Principal, scope: wire.Scope, row: int) -> bool:
        """Customers below 100 belong to whoever asks."""
        return row < 100


@pytest.fixture
async def toy(mesh: Mesh) -> Toy:
    """The toy, served as 'customer'; the operator may watch, a loader may look."""
    toy = Toy()

    def build(_: Parts) -> Service:
        services = (
            customer_pb2.DESCRIPTOR.services_by_name["CustomerService"],
            trust_pb2.DESCRIPTOR.services_by_name["TrustService"],
        )
        return Service(
            servicers=[Servicer(descriptor=d, implementation=toy) for d in services],
            scope_resolver=toy.in_scope,
        )

    mesh.trust(OPERATOR, {"trust.watch"})
    mesh.trust("loader", {"customer.import", "customer.read"})
    await mesh.start(Blueprint(name="customer", build=build, migrations=MIGRATIONS))
    return toy


@pytest.fixture
def engine(mesh: Mesh, toy: Toy) -> Engine:
    """Runs `engine call …` beside the mesh."""
    environ = {"ENGINE_VAR": str(mesh.settings.var)}

    async def run(*arguments: str, **more: str) -> Result:
        command = ("call", *arguments)
        return await asyncio.to_thread(CliRunner().invoke, app, command, env={**environ, **more})

    return run
