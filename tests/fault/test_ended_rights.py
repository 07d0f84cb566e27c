"""Rights end within a second, under load, wherever a call comes in; in doubt nothing is changed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import argon2
import grpc
import httpx
import pytest

import gateway.app
from centers.identity.app import BLUEPRINT, build
from engine.customer.v1 import customer_pb2
from engine.customer.v1.customer_pb2 import (
    CreateFollowUpRequest,
    CreateFollowUpResponse,
    FollowUp,
    GetCustomerRequest,
    GetCustomerResponse,
)
from engine.customer.v1.customer_pb2_grpc import CustomerServiceStub
from engine.identity.v1 import identity_pb2 as pb
from engine.identity.v1.identity_pb2_grpc import IdentityServiceStub
from mesh import App, Blueprint, ErrorView, Service, Servicer
from mesh.channel import Channel, Endpoint
from mesh.lane import STREAM, TLS, UNIX
from mesh.pki import CA, Authority, Names
from mesh.testing import Mesh
from mesh.tls import Certificate
from tests.rows import in_reach, nobody

PASSWORD: Final = "engine-demo"
RIGHTS_END_S: Final = 1.0
"""Within this time nothing is served to a user whose session has ended."""
CALLERS: Final = 8
"""On each way, for each of two users."""
SILENCE_S: Final = 2.0
CUSTOMERS = customer_pb2.DESCRIPTOR.services_by_name["CustomerService"]
READ = GetCustomerRequest(customer_id=7)
WRITE = CreateFollowUpRequest(customer_id=7, follow_up=FollowUp(summary="called"))

PLAIN, HTTP = "plain", "http"
CARRIERS = {PLAIN: (), TLS: (TLS,), UNIX: (UNIX,), STREAM: (STREAM,)}

Ask = Callable[[], Awaitable[str]]
"""Makes a call; answers why it was refused, nothing when it was served."""


class Desk:
    """Answers everything."""

    async def GetCustomer(self, _request: Any, _context: Any) -> Any:
        return GetCustomerResponse()

    async def CreateFollowUp(self, _request: Any, _context: Any) -> Any:
        return CreateFollowUpResponse()

    def __getattr__(self, _name: str) -> Any:
        return self.GetCustomer


@dataclass
class Platform:
    """The identity centre, a service that takes calls in every way, and a gateway."""

    mesh: Mesh
    pki: Path
    stack: AsyncExitStack
    identity: App = field(init=False)
    customer: App = field(init=False)
    http: httpx.AsyncClient = field(init=False)

    @property
    def certificate(self) -> Certificate:
        return Certificate(*(str(self.pki / name) for name in ("host.pem", "host.key", CA)))

    async def start(self) -> None:
        await self.start_identity()
        folder = self.mesh.settings.var / "migrations"
        (folder / "versions").mkdir(parents=True)
        files = self.certificate
        self.customer = await self.mesh.start(
            Blueprint(name="customer", build=_desk, migrations=folder),
            tls_certificate=files.certificate,
            tls_key=files.key,
            tls_ca=files.ca,
        )
        edge = await self.mesh.start(gateway.app.BLUEPRINT)
        self.http = await self.stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://{edge.entry.http}", timeout=10, trust_env=False)
        )
        await until(self._is_ready)

    async def start_identity(self) -> None:
        cheap = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        blueprint = replace(BLUEPRINT, build=partial(build, hasher=cheap))
        self.identity = await self.mesh.start(blueprint, demo=True)

    async def _is_ready(self) -> bool:
        return (await self.http.get("/v1/customers/7")).status_code == 401

    async def sign_on(self, username: str) -> str:
        stub = IdentityServiceStub(self.mesh.channel("identity"))
        request = pb.CreateSessionRequest(username=username, password=PASSWORD)
        token: str = (await stub.CreateSession(request)).grant.access_token
        await until(lambda: self._is_served(token))
        return token

    async def _is_served(self, token: str) -> bool:
        """Whether both processes have the keys by now."""
        return not any([await ask() for ask in (self.by(PLAIN, token), self.by(HTTP, token))])

    async def sign_out(self, token: str) -> None:
        stub = IdentityServiceStub(self.mesh.channel("identity", token=token))
        await stub.DeleteSession(pb.DeleteSessionRequest())

    def by(self, way: str, token: str, *, write: bool = False) -> Ask:
        """A call by one way."""
        if way == HTTP:
            return partial(self._over_http, token, write=write)
        entry = self.customer.entry
        address = f"unix:{entry.socket}" if way == UNIX else entry.address
        channel = Channel(
            "customer",
            [Endpoint(address, entry.lanes)],
            self.mesh.proofs(token=token),
            carriers=CARRIERS[way],
            tls=self.certificate.load(),
        )
        self.stack.push_async_callback(channel.close)
        stub = CustomerServiceStub(channel)
        call, request = (stub.CreateFollowUp, WRITE) if write else (stub.GetCustomer, READ)
        return partial(_over_grpc, call, request)

    async def _over_http(self, token: str, *, write: bool) -> str:
        headers = {"authorization": f"Bearer {token}"}
        path = "/v1/customers/7"
        if write:
            body = {"summary": "called"}
            answer = await self.http.post(f"{path}/follow-ups", headers=headers, json=body)
        else:
            answer = await self.http.get(path, headers=headers)
        return "" if answer.is_success else str(answer.json()["reason"])


async def _over_grpc(call: Any, request: Any) -> str:
    try:
        await call(request, timeout=10)
    except grpc.aio.AioRpcError as error:
        return ErrorView.from_rpc(error).reason
    return ""


def _desk(_: object) -> Service:
    served = Servicer(descriptor=CUSTOMERS, implementation=Desk())
    return Service(servicers=[served], scope_resolver=in_reach, author_resolver=nobody)


@pytest.fixture
async def platform(mesh: Mesh, tmp_path: Path) -> AsyncIterator[Platform]:
    authority = Authority.create(tmp_path / "pki")
    authority.issue(Names(name="host", hosts=("127.0.0.1",), shared=True))
    mesh.trust("customer", {"trust.watch"})
    mesh.trust("gateway", {"*", "trust.watch"})
    bounds: Any = {"rate_per_s": 1e6, "rate_burst": 1_000_000, "sign_on_rate_per_s": 1e6}
    mesh.settings = replace(mesh.settings, trust_silence_s=SILENCE_S, **bounds)
    async with AsyncExitStack() as stack:
        platform = Platform(mesh, authority.folder, stack)
        await platform.start()
        yield platform


async def until(happened: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what others do."""
    async with asyncio.timeout(20):
        while not await happened():  # noqa: ASYNC110 - other processes' state has no event here
            await asyncio.sleep(0.01)


@dataclass
class Record:
    """What became of the calls of one user on one way."""

    refused: set[str] = field(default_factory=set)
    served: int = 0
    last_served: float = 0.0

    async def keep_asking(self, ask: Ask, stop: asyncio.Event) -> None:
        while not stop.is_set():
            begun = time.monotonic()
            if reason := await ask():
                self.refused.add(reason)
            else:
                self.served += 1
                self.last_served = max(self.last_served, begun)


@pytest.mark.slow
async def test_the_rights_of_a_session_end_within_a_second_under_load(platform: Platform) -> None:
    """On every way; those of another user at the same time do not."""
    ways = (HTTP, *CARRIERS)
    leaving, staying = await platform.sign_on("rm001"), await platform.sign_on("rm002")
    records = {(way, token): Record() for way in ways for token in (leaving, staying)}
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for (way, token), record in records.items():
            ask = platform.by(way, token)
            for _ in range(CALLERS):
                group.create_task(record.keep_asking(ask, stop))

        async def all_are_served() -> bool:
            return all(record.served > CALLERS for record in records.values())

        async def all_are_refused() -> bool:
            return all(records[way, leaving].refused for way in ways)

        await until(all_are_served)
        await platform.sign_out(leaving)
        ended_at = time.monotonic()
        await until(all_are_refused)
        await asyncio.sleep(RIGHTS_END_S)  # whatever is served too late comes within this time
        stop.set()
    for way in ways:
        assert records[way, leaving].refused == {"SESSION_ENDED"}, way
        assert records[way, leaving].last_served < ended_at + RIGHTS_END_S, way
        assert not records[way, staying].refused, way
        assert records[way, staying].last_served > ended_at, way


@pytest.mark.slow
async def test_without_news_users_only_read_until_there_is_news_again(platform: Platform) -> None:
    """The identity centre is gone for longer than a process may hear nothing."""
    token = await platform.sign_on("rm001")
    reads = [platform.by(way, token) for way in (HTTP, *CARRIERS)]
    writes = [platform.by(way, token, write=True) for way in (HTTP, *CARRIERS)]

    async def reasons() -> set[str]:
        return {await write() for write in writes}

    async def all_refuse() -> bool:
        return await reasons() == {"RIGHTS_UNCERTAIN"}

    async def none_refuses() -> bool:
        return await reasons() == {""}

    assert await reasons() == {""}
    await platform.identity.__aexit__(None, None, None)
    await until(all_refuse)
    assert {await read() for read in reads} == {""}
    await platform.start_identity()
    await until(none_refuses)
