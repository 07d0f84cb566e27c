"""The gateway through the lives of the services behind it, and its own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.api import httpbody_pb2

from centers.customer.app import BLUEPRINT as CUSTOMER_CENTRE
from centers.identity.app import BLUEPRINT as IDENTITY
from engine.customer.v1 import customer_pb2
from engine.identity.v1 import identity_pb2
from engine.mesh.v1 import policy_pb2
from gateway.app import BLUEPRINT
from gateway.contracts import Contracts
from mesh.app import App
from mesh.context import Principal, Scope
from mesh.errors import MeshError, MeshReason
from mesh.reflection import Contract
from mesh.service import Blueprint, Service, Servicer
from mesh.settings import SettingsError
from mesh.telemetry import Meters
from mesh.testing import Mesh

CUSTOMER = "/v1/customers/42"


class Toy:
    """Has every method of its contract; those that are not written fail."""

    def __getattr__(self, name: str) -> Any:
        async def unwritten(request: Any, context: Any) -> Any:
            raise MeshError(MeshReason.UNKNOWN_METHOD)

        return unwritten


class Customers(Toy):
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def GetCustomer(self, request: Any, context: Any) -> Any:
        self.begun.set()
        await self.gate.wait()
        customer = customer_pb2.Customer(customer_id=request.customer_id)
        return customer_pb2.GetCustomerResponse(customer=customer)


class Pages(Toy):
    """Serves one page to anybody."""

    async def GetBootstrapPage(self, request: Any, context: Any) -> Any:
        return httpbody_pb2.HttpBody(content_type="text/html", data="<p>你好".encode())


async def everywhere(principal: Principal, scope: Scope, row: Any) -> bool:
    return True


def customers(servicer: Customers | None = None) -> Blueprint:
    contract = customer_pb2.DESCRIPTOR.services_by_name["CustomerService"]
    implementation = servicer or Customers()
    service = Service(
        servicers=[Servicer(descriptor=contract, implementation=implementation)],
        scope_resolver=everywhere,
    )
    return Blueprint(
        name="customer", build=lambda _: service, migrations=CUSTOMER_CENTRE.migrations
    )


def pages() -> Blueprint:
    contract = identity_pb2.DESCRIPTOR.services_by_name["IdentityService"]
    service = Service(servicers=[Servicer(descriptor=contract, implementation=Pages())])
    return Blueprint(name="pages", build=lambda _: service, migrations=IDENTITY.migrations)


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
    service = await trusted.start(customers())
    gateway = await trusted.start(BLUEPRINT)
    async with client(trusted, gateway) as http:
        assert (await http.get(CUSTOMER)).status_code == 200
        await service.__aexit__(None, None, None)
        response = await http.get(CUSTOMER)
        assert (response.status_code, response.json()["reason"]) == (503, "UNAVAILABLE")
        await trusted.start(customers())
        assert (await http.get(CUSTOMER)).status_code == 200


async def test_gateway_is_in_the_registry_with_its_address(trusted: Mesh) -> None:
    """So that others find the edge."""
    gateway = await trusted.start(BLUEPRINT)
    (entry,) = trusted.registry.lookup("gateway")
    assert entry.http == gateway.entry.http
    assert entry.http.startswith("127.0.0.1:")


async def test_without_keys_the_gateway_is_not_ready(trusted: Mesh) -> None:
    """Nobody could be let in: users get 503 and not 401."""
    await trusted.start(customers())
    app = App(BLUEPRINT, trusted.settings, trusted.registry, keys=[])
    async with app, client(trusted, app) as http:
        assert (await http.get("/healthz")).status_code == 503
        response = await http.get(CUSTOMER)
        assert (response.status_code, response.json()["reason"]) == (503, "KEYS_UNAVAILABLE")


async def test_stopping_answers_what_is_under_way(trusted: Mesh) -> None:
    """The client gets its answer, and is told that the connection ends."""
    servicer = Customers()
    servicer.gate.clear()
    await trusted.start(customers(servicer))
    gateway = await trusted.start(BLUEPRINT, drain_s=10.0)
    async with client(trusted, gateway) as http:
        under_way = asyncio.create_task(http.get(CUSTOMER))
        await servicer.begun.wait()
        stopping = asyncio.create_task(gateway.__aexit__(None, None, None))
        await refused(gateway.entry.http)
        servicer.gate.set()
        response = await under_way
        assert (response.status_code, response.headers["connection"]) == (200, "close")
        await stopping


async def refused(address: str) -> None:
    """Return once nothing listens at the address."""
    host, _, port = address.rpartition(":")
    async with asyncio.timeout(15):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except ConnectionRefusedError:
                return
            writer.close()
            await asyncio.sleep(0.02)


async def test_taken_port_is_told_by_the_name_of_its_setting(trusted: Mesh) -> None:
    """The operator reads what to change."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"ENGINE_GATEWAY_PORT={port}: .*in use"):
            await trusted.start(BLUEPRINT, gateway_port=port)


async def test_rule_file_that_cannot_be_used_is_told_with_its_line(
    trusted: Mesh, tmp_path: Path
) -> None:
    """Before anything is served."""
    (tmp_path / "rules.yaml").write_text("http:\n  rules:\n  - selector: a.B.C\n    gett: /x\n")
    with pytest.raises(SettingsError, match=r"rules\.yaml:4: 'gett' is not read here"):
        await trusted.start(BLUEPRINT, gateway_rules=str(tmp_path))


async def test_users_and_strangers_have_limits_of_their_own(trusted: Mesh) -> None:
    """From the settings, with the time to wait."""
    await trusted.start(customers())
    gateway = await trusted.start(BLUEPRINT, rate_per_s=0.1, rate_burst=2, sign_on_rate_per_s=0.5)
    async with client(trusted, gateway) as http:
        assert [(await http.get(CUSTOMER)).status_code for _ in range(3)] == [200, 200, 429]
        limited = await http.get(CUSTOMER)
        assert int(limited.headers["retry-after"]) == 10
        del http.headers["authorization"]
        assert [(await http.get("/docs")).status_code for _ in range(2)] == [200, 429]
        assert (await http.get("/healthz")).status_code == 200


class Changes:
    """What a follower of contracts was told."""

    def __init__(self) -> None:
        self.told: list[Mapping[str, Contract]] = []

    def __call__(self, contracts: Mapping[str, Contract]) -> None:
        self.told.append(contracts)


async def test_contracts_are_fetched_when_instances_change(trusted: Mesh) -> None:
    """Told again only when one is different; kept while a service is down."""
    changes = Changes()
    contracts = Contracts(trusted.registry, trusted.channel, changes, own_name="gateway")
    await contracts.refresh()
    assert not contracts.complete
    assert changes.told == []

    service = await trusted.start(customers())
    await contracts.refresh()
    assert contracts.complete
    first = changes.told[-1]["customer"]
    assert first.services == (
        "engine.customer.v1.CustomerService",
        "engine.mesh.v1.LaneService",
    )
    assert "google/api/annotations.proto" in first.files

    await service.__aexit__(None, None, None)
    await contracts.refresh()
    await trusted.start(customers())
    await contracts.refresh()
    assert len(changes.told) == 1

    await trusted.start(pages())
    assert not contracts.complete
    await contracts.refresh()
    assert contracts.complete
    assert changes.told[-1]["customer"] is first
    assert changes.told[-1].keys() == {"customer", "pages"}


async def test_a_contract_that_breaks_callers_is_told_once_with_what_breaks(
    trusted: Mesh, caplog: pytest.LogCaptureFixture
) -> None:
    """It is taken on, and an operator learns which callers it leaves behind."""
    meters, changes = Meters(), Changes()
    contracts = Contracts(
        trusted.registry, trusted.channel, changes, own_name="gateway", meters=meters
    )
    before = await trusted.start(customers())
    await contracts.refresh()
    await before.__aexit__(None, None, None)
    await trusted.start(replace(pages(), name="customer", migrations=CUSTOMER_CENTRE.migrations))
    for _ in range(2):
        await contracts.refresh()
    told = [r for r in caplog.records if r.message == "contract_breaks_callers"]
    (finding,) = [vars(record)["values"]["findings"] for record in told]
    assert finding == "service engine.customer.v1.CustomerService is removed"
    assert meters.counter("gateway.contracts_breaking").value == 1
    assert len(changes.told) == 2


async def test_service_that_cannot_be_asked_is_asked_again(trusted: Mesh) -> None:
    """One that does not answer does not hold up the others."""
    changes = Changes()
    contracts = Contracts(trusted.registry, trusted.channel, changes, own_name="gateway")
    await trusted.start(customers())
    (entry,) = trusted.registry.lookup("customer")
    stranger = replace(entry, service="stranger", socket="", address="127.0.0.1:1", instance="x")
    await trusted.registry.register(stranger)
    await contracts.refresh()
    assert changes.told[-1].keys() == {"customer"}
    assert not contracts.complete
    await trusted.registry.register(replace(entry, service="stranger", instance="x"))
    await contracts.refresh()
    assert changes.told[-1].keys() == {"customer", "stranger"}
    assert contracts.complete
