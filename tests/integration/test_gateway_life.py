"""The gateway through the lives of the services behind it, and its own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from engine.customer.v1 import customer_pb2, customer_pb2_grpc
from engine.identity.v1 import identity_pb2, identity_pb2_grpc
from engine.mesh.v1 import policy_pb2
from gateway.app import BLUEPRINT
from gateway.contracts import Contracts
from gateway.reflection import Contract
from google.api import httpbody_pb2
from mesh.app import App
from mesh.context import Principal
from mesh.service import Blueprint, Service, Servicer
from mesh.settings import SettingsError
from mesh.testing import Mesh

CUSTOMER = "/v1/customers/42"


class Customers(customer_pb2_grpc.CustomerServiceServicer):
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def GetCustomer(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.begun.set()
        await self.gate.wait()
        customer = customer_pb2.Customer(customer_id=request.customer_id)
        return customer_pb2.GetCustomerResponse(customer=customer)


class Pages(identity_pb2_grpc.IdentityServiceServicer):
    """Serves one page to anybody."""

    async def GetBootstrapPage(self, request: Any, context: Any) -> Any:  # noqa: N802
        return httpbody_pb2.HttpBody(content_type="text/html", data="<p>你好".encode())


async def everywhere(principal: Principal, scope: policy_pb2.Scope, row: Any) -> bool:
    return True


def customers(servicer: Customers | None = None) -> Blueprint:
    contract = customer_pb2.DESCRIPTOR.services_by_name["CustomerService"]
    implementation = servicer or Customers()
    service = Service(
        servicers=[Servicer(descriptor=contract, implementation=implementation)],
        scope_resolver=everywhere,
    )
    return Blueprint(name="customer", build=lambda _: service)


def pages() -> Blueprint:
    contract = identity_pb2.DESCRIPTOR.services_by_name["IdentityService"]
    service = Service(servicers=[Servicer(descriptor=contract, implementation=Pages())])
    return Blueprint(name="pages", build=lambda _: service)


def client(mesh: Mesh, gateway: App) -> httpx.AsyncClient:
    token = mesh.token("rm001", permissions={"customer.read"}, data_scope=policy_pb2.SCOPE_ALL)
    return httpx.AsyncClient(
        base_url=f"http://{gateway.entry.http}", headers={"authorization": f"Bearer {token}"}
    )


async def until(http: httpx.AsyncClient, path: str, status: int) -> httpx.Response:
    """The first response with that status; the gateway looks at the registry every second."""
    async with asyncio.timeout(15):
        while True:
            response = await http.get(path)
            if response.status_code == status:
                return response
            await asyncio.sleep(0.05)


@pytest.fixture
def trusted(mesh: Mesh) -> Mesh:
    """A mesh in which services that start before the gateway trust it."""
    mesh.trust("gateway", BLUEPRINT.rights)
    return mesh


async def test_service_that_appears_later_is_routed(trusted: Mesh) -> None:
    """Without a restart; until there is one, the gateway is not ready."""
    gateway = await trusted.start(BLUEPRINT)
    async with client(trusted, gateway) as http:
        assert (await http.get("/healthz")).status_code == 503
        assert (await http.get(CUSTOMER)).status_code == 404
        await trusted.start(customers())
        assert (await until(http, CUSTOMER, 200)).json() == {"customerId": "42"}
        await trusted.start(pages())
        page = await until(http, "/bootstrap", 200)
        assert (page.headers["content-type"], page.text) == ("text/html", "<p>你好")
        await until(http, "/healthz", 200)


async def test_service_that_is_down_answers_503_and_comes_back(trusted: Mesh) -> None:
    """Its routes stay while it is away."""
    async with (
        App(customers(), trusted.settings, trusted.registry, keys=[])
        if False
        else await _running(trusted) as (http, stop)
    ):
        assert (await http.get(CUSTOMER)).status_code == 200
        await stop()
        response = await until(http, CUSTOMER, 503)
        assert response.json()["reason"] == "UNAVAILABLE"
        await trusted.start(customers())
        await until(http, CUSTOMER, 200)
