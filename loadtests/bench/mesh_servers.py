"""The mesh's servers in the suite `mesh`, in one process: the stock servicer and chains of steps.

`bare` is `mesh.lane.server` with the generated servicer and nothing else. `full` is
`mesh.Server` with the whole chain; the others are the same with steps left out, to tell what
these cost. Telemetry
is the platform's own at 1 % sampling; there is no collector, so that nothing is sent.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypedDict

import uvloop
from joserfc.jwk import OKPKey

import gateway.app
import observability
from engine.customer.v1 import customer_pb2_grpc
from engine.mesh.v1 import policy_pb2
from loadtests.bench.mesh_tls import LOCALHOST, certificate_in, write_certificate
from loadtests.bench.servers import SERVICE, Customers, until_told
from mesh import DirectoryRegistry, Principal, Settings, Telemetry
from mesh.audit import AuditLog
from mesh.call import Interceptor
from mesh.clock import SystemClock
from mesh.interceptors import chain
from mesh.interceptors.identity import IdentityInterceptor
from mesh.interceptors.policy import PolicyInterceptor
from mesh.interceptors.scope import ScopeInterceptor
from mesh.interceptors.telemetry import TelemetryInterceptor
from mesh.interceptors.validation import ValidationInterceptor
from mesh.lane import server
from mesh.server import Lanes, Server
from mesh.storage import SQLiteStore
from mesh.telemetry import NullTracer
from mesh.tokens import ServiceKey, TokenVerifier, sign_user, write_trust

MODULE: Final = "loadtests.bench.mesh_servers"
ANYWHERE: Final = f"{LOCALHOST}:0"
NAME: Final = "customer"
CALLER: Final = "gateway"
SAMPLED: Final = 0.01
KEY_ID: Final = "bench"
TOKEN_TTL_S: Final = 3_600.0

BARE: Final = "bare"
FULL: Final = "full"
NO_TELEMETRY: Final = "no telemetry"
NO_RIGHTS: Final = "no rights"

_LEFT_OUT: Final[Mapping[str, tuple[type[Any], ...]]] = {
    FULL: (),
    NO_TELEMETRY: (TelemetryInterceptor,),
    NO_RIGHTS: (
        IdentityInterceptor,
        PolicyInterceptor,
        ValidationInterceptor,
        ScopeInterceptor,
    ),
}


_USER: Final = Principal(
    subject="rm001",
    permissions=frozenset({"customer.read"}),
    data_scope=policy_pb2.SCOPE_OWN_BOOK,
    staff_id=0,
    branch_id=0,
    session_id="session",
)


class Address(TypedDict):
    """Where one server is: its gRPC address, and its lanes on sockets."""

    grpc: str
    lanes: list[str]


class Ready(TypedDict):
    """What the process says when it serves; `folder` has keys and certificate."""

    pid: int
    servers: dict[str, Address]
    token: str
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trust:
    """Who may call, and how that is proven."""

    key: ServiceKey
    verifier: TokenVerifier
    token: str

    @classmethod
    def written(cls, folder: Path) -> _Trust:
        """Keys and tokens as the platform's composition and the identity centre make them."""
        write_trust(folder, {NAME: (), CALLER: gateway.app.BLUEPRINT.rights})
        issuer = OKPKey.generate_key("Ed25519")
        public = {name: str(value) for name, value in issuer.as_dict(private=False).items()}
        verifier = TokenVerifier.load(folder)
        verifier.set_keys([{**public, "kid": KEY_ID}])
        return cls(
            key=ServiceKey.load(folder, NAME),
            verifier=verifier,
            token=sign_user(_USER, issuer, KEY_ID, issued=time.time(), ttl_s=TOKEN_TTL_S),
        )


async def _serve() -> None:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="engine-")))
        trust = _Trust.written(folder)
        write_certificate(folder)
        settings = Settings(var=folder, trace_sample=SAMPLED)
        registry = DirectoryRegistry(settings.run_dir)
        telemetry = await stack.enter_async_context(
            observability.install(settings, NAME, registry, trust.key)
        )
        steps = _chain(settings, trust, telemetry)
        servers = {BARE: await stack.enter_async_context(_bare(folder))}
        for kind, left_out in _LEFT_OUT.items():
            kept = [step for step in steps if not isinstance(step, left_out)]
            servers[kind] = await stack.enter_async_context(_chained(kind, kept, folder, trust))
        said = {"servers": servers, "token": trust.token, "folder": str(folder)}
        await until_told(said)


def _chain(settings: Settings, trust: _Trust, telemetry: Telemetry) -> tuple[Interceptor, ...]:
    unused = SQLiteStore(settings.data_dir / "none.db", tracer=NullTracer())
    audit = AuditLog(store=unused, clock=SystemClock(), policy_version="bench")
    return chain(telemetry, trust.verifier, trust.key, SERVICE, audit)


@asynccontextmanager
async def _bare(folder: Path) -> AsyncIterator[Address]:
    stock = server()
    servicer: Any = Customers()
    customer_pb2_grpc.add_CustomerServiceServicer_to_server(servicer, stock)
    port = stock.add_insecure_port(ANYWHERE)
    lanes = _lanes(BARE, folder)
    for address, tls in lanes.ports:
        stock.add_lane_port(address, tls)
    await stock.start()
    try:
        yield _address(port, lanes, stock.lane_ports)
    finally:
        await stock.stop(None)


@asynccontextmanager
async def _chained(
    kind: str, steps: Sequence[Interceptor], folder: Path, trust: _Trust
) -> AsyncIterator[Address]:
    lanes = replace(_lanes(kind, folder), check=trust.verifier.has_signed)
    async with Server(SERVICE.servicers, steps, [ANYWHERE], drain_s=0, lanes=lanes) as served:
        yield _address(served.ports[0], lanes, served.lane_ports)


def _lanes(kind: str, folder: Path) -> Lanes:
    tls = certificate_in(folder).load().server
    return Lanes(ports=((f"unix:{folder}/{kind}.lane", None), (ANYWHERE, tls)))


def _address(port: int, lanes: Lanes, lane_ports: Sequence[int]) -> Address:
    return {
        "grpc": f"{LOCALHOST}:{port}",
        "lanes": [lanes.ports[0][0], f"tls:{LOCALHOST}:{lane_ports[0]}"],
    }


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve())
