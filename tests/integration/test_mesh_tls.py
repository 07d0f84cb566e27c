"""Services on several hosts: who calls is proven on every way, and certificates are renewed."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from engine.customer.v1 import customer_pb2
from engine.customer.v1.customer_pb2 import Customer, GetCustomerRequest, GetCustomerResponse
from engine.customer.v1.customer_pb2_grpc import CustomerServiceStub
from engine.mesh.v1 import policy_pb2
from mesh import App, Blueprint, ErrorView, Service, Servicer, current
from mesh.channel import Channel, Endpoint
from mesh.clock import ManualClock
from mesh.lane import STREAM, TLS, UNIX
from mesh.pki import CA, Authority, Names, issued_in
from mesh.settings import SettingsError
from mesh.telemetry import Telemetry
from mesh.testing import Mesh
from mesh.tls import Certificate, Credentials, Loaded
from mesh.tokens import ServiceKey
from sequencer.app import BLUEPRINT as SEQUENCER
from sequencer.peers import MeshPeers
from sequencer.sdk import Sequencer, _grpc, mesh_source
from tests.rows import in_reach, nobody

CUSTOMERS = customer_pb2.DESCRIPTOR.services_by_name["CustomerService"]
ASK = GetCustomerRequest(customer_id=7)
HERE = ("127.0.0.1",)
PLAIN = "plain"
WAYS = {PLAIN: (), TLS: (TLS,), UNIX: (UNIX,), STREAM: (STREAM,)}
"""The carriers that a channel may use; without one a call goes by gRPC itself."""


class Desk:
    """Answers, and remembers who asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.wait: asyncio.Event | None = None

    async def GetCustomer(self, request: GetCustomerRequest, _context: Any) -> Any:
        if self.wait is not None:
            await self.wait.wait()
        self.seen.append((current().user, current().service))
        return GetCustomerResponse(customer=Customer(customer_id=request.customer_id))

    def __getattr__(self, _name: str) -> Any:
        return self.GetCustomer


@dataclass
class World:
    """A service that shows a certificate, and callers with their own."""

    mesh: Mesh
    authority: Authority
    stack: AsyncExitStack
    desk: Desk = field(default_factory=Desk)
    telemetry: Telemetry = field(default_factory=Telemetry)
    app: App = field(init=False)

    async def start(self) -> None:
        served = Servicer(descriptor=CUSTOMERS, implementation=self.desk)

        def build(_: object) -> Service:
            return Service(servicers=[served], scope_resolver=in_reach, author_resolver=nobody)

        folder = self.mesh.settings.var / "migrations"
        (folder / "versions").mkdir(parents=True)
        blueprint = Blueprint(name="customer", build=build, migrations=folder)
        pki = self.authority.folder
        self.app = await self.mesh.start(
            blueprint,
            telemetry=self.telemetry,
            tls_certificate=f"{pki}/{{service}}.pem",
            tls_key=f"{pki}/{{service}}.key",
            tls_ca=f"{pki}/{CA}",
        )

    def files(self, name: str, pki: Path | None = None) -> Certificate:
        pki = pki or self.authority.folder
        return Certificate(*(str(pki / file) for file in (f"{name}.pem", f"{name}.key", CA)))

    def channel(
        self, way: str, tls: Any, *, caller: str = "gateway", token: str | None = None
    ) -> Channel:
        """A channel by one way; over a Unix socket its host is the service's."""
        entry = self.app.entry
        address = f"unix:{entry.socket}" if way == UNIX else entry.address
        channel = Channel(
            "customer",
            [Endpoint(address, entry.lanes)],
            self.mesh.proofs(token=self.token() if token is None else token, caller=caller),
            carriers=WAYS[way],
            prove=self.mesh.prove(caller),
            tls=tls,
        )
        self.stack.push_async_callback(channel.close)
        return channel

    async def ask(self, way: str, tls: Any, **proofs: Any) -> Any:
        stub = CustomerServiceStub(self.channel(way, tls, **proofs))
        return await stub.GetCustomer(ASK, timeout=10)

    async def refusal(self, way: str, tls: Any, **proofs: Any) -> ErrorView:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await self.ask(way, tls, **proofs)
        return ErrorView.from_rpc(failed.value)

    def token(self, *permissions: str) -> str:
        granted = permissions or ("customer.read",)
        scope = policy_pb2.SCOPE_ALL
        return self.mesh.token("rm001", permissions=granted, data_scope=scope)

    def lanes(self) -> set[str]:
        """What carries the lanes that are open."""
        return {lane.way for lane in self.app._server.host.lanes}


@pytest.fixture
async def world(mesh: Mesh, tmp_path: Path) -> AsyncIterator[World]:
    """The service customer; gateway and ark may call it, and so may the users of their calls."""
    authority = Authority.create(tmp_path / "pki")
    for name in ("customer", "gateway", "ark"):
        authority.issue(Names(name=name, hosts=HERE))
    mesh.trust("gateway", {"*"})
    mesh.trust("ark", {"customer.read"})
    async with AsyncExitStack() as stack:
        world = World(mesh, authority, stack)
        await world.start()
        yield world


async def until(happened: Callable[[], bool]) -> None:
    """Wait for what another task does."""
    async with asyncio.timeout(10):
        while not happened():  # noqa: ASYNC110 - it has no event here
            await asyncio.sleep(0.01)


# Who calls.


@pytest.mark.parametrize("way", WAYS)
async def test_every_call_carries_the_user_and_the_calling_service(world: World, way: str) -> None:
    """Whatever carries it, and it really is carried by that."""
    await world.ask(way, world.files("gateway").load())
    assert world.desk.seen == [("rm001", "gateway")]
    expected = {PLAIN: set(), TLS: {"tls"}, UNIX: {"unix"}, STREAM: {"stream"}}
    assert world.lanes() == expected[way]


@pytest.mark.parametrize("way", [PLAIN, STREAM, TLS])
async def test_the_proof_of_one_service_over_the_certificate_of_another_is_refused(
    world: World, way: str
) -> None:
    """A proof that was stolen is worth nothing to who has not the certificate as well."""
    tls = world.files("ark").load()
    refused = await world.refusal(way, tls, caller="gateway")
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CALLER_REFUSED")
    assert not world.desk.seen


async def test_the_proof_of_one_service_on_the_lane_of_another_is_refused(world: World) -> None:
    """Also on a Unix socket, where the hello proves whose lane it is."""
    entry = world.app.entry
    channel = Channel(
        "customer",
        [Endpoint(f"unix:{entry.socket}", entry.lanes)],
        world.mesh.proofs(token=world.token(), caller="gateway"),
        prove=world.mesh.prove("ark"),
    )
    async with channel:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await CustomerServiceStub(channel).GetCustomer(ASK)
    assert ErrorView.from_rpc(failed.value).reason == "CALLER_REFUSED"
    assert world.lanes() <= {"unix"}


@pytest.mark.parametrize("way", [PLAIN, TLS])
async def test_a_shared_certificate_leaves_the_proof_to_the_service(world: World, way: str) -> None:
    """All services of a host may show it; the signature says which it is."""
    world.authority.issue(Names(name="host-1", hosts=HERE, shared=True))
    await world.ask(way, world.files("host-1").load())
    assert world.desk.seen == [("rm001", "gateway")]


# Unknown is denied.


def stranger(folder: Path, names: Names, days_ago: float = 0) -> Authority:
    """An authority with one certificate, made a while ago."""
    authority = Authority.create(
        folder, clock=ManualClock(datetime.now(UTC) - timedelta(days=days_ago))
    )
    authority.issue(names)
    return authority


class Shown:
    """Shows files without looking at them, as a caller does who means to get in."""

    version = 0

    def __init__(self, files: Certificate, believed: str) -> None:
        self._client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._client.set_alpn_protocols(["engine-lane/1"])
        self._client.load_verify_locations(believed)
        parts = [Path(path).read_bytes() for path in (believed, files.key, files.certificate)]
        self._parts: list[bytes | None] = [*parts]
        self._client.load_cert_chain(files.certificate, files.key)

    def client_context(self) -> ssl.SSLContext:
        return self._client

    def channel_credentials(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(*self._parts)


class ShowsNothing(Shown):
    """Shows no certificate."""

    def __init__(self, files: Certificate, believed: str) -> None:
        super().__init__(files, believed)
        self._client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._client.set_alpn_protocols(["engine-lane/1"])
        self._client.load_verify_locations(believed)
        self._parts[1:] = [None, None]


@pytest.mark.parametrize("way", [PLAIN, TLS, STREAM])
@pytest.mark.parametrize("wrong", ["nothing", "another authority", "expired", "no TLS"])
async def test_who_shows_no_good_certificate_reaches_nobody(
    world: World, tmp_path: Path, way: str, wrong: str
) -> None:
    """Whatever else the call carries: the connection does not come about."""
    names, ca = Names(name="gateway", hosts=HERE), world.files("gateway").ca
    tls: Any = None
    if wrong == "nothing":
        tls = ShowsNothing(world.files("gateway"), ca)
    elif wrong == "another authority":
        other = stranger(tmp_path / "other", names)
        tls = Shown(world.files("gateway", other.folder), ca)
    elif wrong == "expired":
        past = ManualClock(datetime.now(UTC) - timedelta(days=9))
        again = Authority.open(world.authority.folder, clock=past)
        again.issue(Names(name="gateway-2", hosts=HERE))
        tls = Shown(world.files("gateway-2"), ca)
    refused = await world.refusal(way, tls)
    assert refused.code is grpc.StatusCode.UNAVAILABLE
    assert not world.desk.seen


@pytest.mark.parametrize("way", [PLAIN, TLS])
async def test_a_server_of_another_authority_is_not_believed(
    world: World, tmp_path: Path, way: str
) -> None:
    """It might be anybody who listens where a service did."""
    other = stranger(tmp_path / "other", Names(name="gateway", hosts=HERE))
    refused = await world.refusal(way, world.files("gateway", other.folder).load())
    assert refused.code is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("way", [PLAIN, TLS, UNIX])
async def test_a_caller_without_proof_is_nobody(world: World, way: str) -> None:
    """A good certificate alone does not say for whom the call is."""
    refused = await world.refusal(way, world.files("gateway").load(), caller="", token="")
    assert refused.reason == "UNAUTHENTICATED"


@pytest.mark.parametrize("way", [PLAIN, TLS, UNIX])
async def test_a_service_that_is_not_trusted_is_refused(world: World, way: str) -> None:
    """Its name stands in no trust file that the called one has read."""
    world.authority.issue(Names(name="stranger", hosts=HERE))
    world.mesh.trust("stranger", {"*"})  # after the service has started
    refused = await world.refusal(way, world.files("stranger").load(), caller="stranger")
    assert refused.reason == "CALLER_REFUSED"


@pytest.mark.parametrize("way", [PLAIN, TLS, UNIX])
async def test_a_permission_that_nobody_knows_opens_nothing(world: World, way: str) -> None:
    """Neither does one of another method."""
    token = world.token("customer.everything")
    refused = await world.refusal(way, world.files("gateway").load(), token=token)
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "PERMISSION_DENIED",
    )


# Renewal.


async def shown_by(world: World, port: str, protocol: str, loaded: Loaded) -> int:
    """The serial number of the certificate that a new connection to a port is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    files = world.files("gateway")
    context.load_cert_chain(files.certificate, files.key)
    context.load_verify_locations(cadata=loaded.ca.decode())
    context.set_alpn_protocols([protocol])
    host, _, number = port.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(number), ssl=context)
    certificate = writer.get_extra_info("ssl_object").getpeercert()
    writer.close()
    return int(certificate["serialNumber"], 16)


async def both_show(world: World, loaded: Loaded) -> set[int]:
    """What the gRPC port and that of lanes over TLS show."""
    lane = next(lane for lane in world.app.entry.lanes if lane.startswith("tls:"))
    return {
        await shown_by(world, world.app.entry.address, "h2", loaded),
        await shown_by(world, lane.removeprefix("tls:"), "engine-lane/1", loaded),
    }


def renewals(world: World) -> int:
    return world.telemetry.meters.counters["mesh.certificates_renewed"].value


@pytest.mark.parametrize("way", [PLAIN, TLS])
async def test_renewed_certificates_are_used_without_a_lost_call(world: World, way: str) -> None:
    """New connections show them; calls in flight, and those that come meanwhile, are answered."""
    async with Credentials(world.files("gateway")) as tls:
        stub, calls, stop = CustomerServiceStub(world.channel(way, tls)), [0], asyncio.Event()

        async def caller() -> None:
            while not stop.is_set():
                await stub.GetCustomer(ASK, timeout=10)
                calls[0] += 1

        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(caller())
            await until(lambda: calls[0] > 8)
            (before,) = await both_show(world, tls.loaded)
            for issued in issued_in(world.authority.folder):
                world.authority.renew(issued)
            await until(lambda: renewals(world) == 1 and tls.version == 2)
            (after,) = await both_show(world, tls.loaded)
            seen = calls[0]
            await until(lambda: calls[0] > seen + 8)
            stop.set()
    assert before != after


@pytest.mark.parametrize("way", [PLAIN, TLS])
async def test_a_call_that_began_before_a_renewal_ends_after_it(world: World, way: str) -> None:
    """Its connection stays until it has its answer."""
    async with Credentials(world.files("gateway")) as tls:
        stub = CustomerServiceStub(world.channel(way, tls))
        await stub.GetCustomer(ASK)
        gate = world.desk.wait = asyncio.Event()
        waiting = asyncio.ensure_future(stub.GetCustomer(ASK, timeout=10))
        for issued in issued_in(world.authority.folder):
            world.authority.renew(issued)
        await until(lambda: renewals(world) == 1 and tls.version == 2)
        world.desk.wait = None
        await stub.GetCustomer(ASK)
        gate.set()
        await waiting
    assert len(world.desk.seen) == 3


async def test_an_authority_is_replaced_by_way_of_both(world: World, tmp_path: Path) -> None:
    """First both are believed, then certificates are of the new one, then it alone is."""
    pki = world.authority.folder
    names = [Names(name=name, hosts=HERE) for name in ("customer", "gateway")]
    successor = Authority.create(tmp_path / "new")
    for one in names:
        successor.issue(one)
    both = (pki / CA).read_bytes() + (successor.folder / CA).read_bytes()
    async with Credentials(world.files("gateway")) as tls:
        (pki / CA).write_bytes(both)
        await until(lambda: renewals(world) == 1 and tls.version == 2)
        await world.ask(PLAIN, tls)
        for one in names:
            for file in (f"{one.name}.key", f"{one.name}.pem"):
                (successor.folder / file).replace(pki / file)
        await until(lambda: renewals(world) == 2 and tls.version == 3)
        await world.ask(PLAIN, tls)
        await world.ask(TLS, tls)
        (pki / CA).write_bytes((successor.folder / CA).read_bytes())
        await until(lambda: renewals(world) == 3 and tls.version == 4)
        await world.ask(PLAIN, tls)
        await world.ask(TLS, tls)
        old = Shown(world.files("ark"), f"{successor.folder}/{CA}")
        for way in (PLAIN, TLS):
            refused = await world.refusal(way, old, caller="ark")
            assert refused.code is grpc.StatusCode.UNAVAILABLE


async def test_a_bad_file_changes_nothing(world: World) -> None:
    """The service goes on with what it had, and counts the refusal."""
    Path(world.files("customer").certificate).write_text("nonsense")  # noqa: ASYNC240
    counters = world.telemetry.meters.counters
    await until(lambda: counters["mesh.certificates_refused"].value == 1)
    await world.ask(PLAIN, world.files("gateway").load())
    await world.ask(TLS, world.files("gateway").load())
    assert renewals(world) == 0


async def test_a_service_does_not_start_with_files_it_cannot_use(world: World) -> None:
    """The error names the settings."""
    Path(world.files("customer").key).unlink()  # noqa: ASYNC240
    mesh = world.mesh
    with pytest.raises(SettingsError, match="ENGINE_TLS_KEY"):
        await mesh.start(
            Blueprint(name="ark", build=lambda _: Service(servicers=[])),
            tls_certificate=world.files("ark").certificate,
            tls_key=world.files("customer").key,
            tls_ca=world.files("ark").ca,
        )


# What opens channels by itself.


async def test_ids_are_taken_from_another_host(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sequencer's SDK, and the servers among themselves, show their certificates, too."""
    pki = world.authority.folder
    world.authority.issue(Names(name="sequencer", hosts=HERE))
    world.mesh.trust("gateway", {"sequencer.lease", "sequencer.create"})
    await world.mesh.start(
        SEQUENCER,
        tls_certificate=f"{pki}/{{service}}.pem",
        tls_key=f"{pki}/{{service}}.key",
        tls_ca=f"{pki}/{CA}",
    )
    monkeypatch.setattr(_grpc, "host_id", lambda: "elsewhere")
    key = ServiceKey.load(world.mesh.settings.key_dir, "gateway")
    source = mesh_source(world.mesh.registry, key, world.files("gateway").load())
    async with Sequencer(source, create_missing=True) as ids:
        assert await ids.sequence("shop.order").next_id_async() == 1
    peers = MeshPeers(
        "sequencer",
        world.mesh.registry,
        ServiceKey.load(world.mesh.settings.key_dir, "sequencer"),
        world.files("sequencer").load(),
    )
    assert len(await peers.witnesses("shop.order")) == 1
