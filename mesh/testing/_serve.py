"""One service under test, in three lines: a real channel, the real chain, one caller."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from google.protobuf.descriptor import MethodDescriptor

from engine.mesh.v1 import policy_pb2
from mesh import contract
from mesh.channel import Channel, Endpoint, Endpoints, Proofs
from mesh.clock import Clock
from mesh.context import Principal, Scope
from mesh.contract import Method
from mesh.errors import MeshError, MeshReason
from mesh.lane.hello import Prove
from mesh.registry import Entry
from mesh.service import AuthorResolver, Blueprint, ScopeResolver, Service, Servicer
from mesh.telemetry import Telemetry
from mesh.testing._faults import Faults
from mesh.testing._mesh import Mesh

SERVED: Final = "served"
"""Name of the service where the test gives none."""


class Served(Channel):
    """The channel to a service under test; its calls carry the caller's proofs.

    `address` and `lanes` are where the service listens, for a `Link`: the ordinary "host:port",
    and the addresses of lanes over sockets, best first.
    """

    def __init__(
        self, service: str, endpoints: Endpoints, proofs: Proofs, prove: Prove | None, entry: Entry
    ) -> None:
        super().__init__(service, endpoints, proofs, prove=prove)
        self.address = entry.address
        self.lanes = entry.lanes
        self._name, self._by = service, proofs
        self._ways: list[Channel] = []

    def via(self, *endpoints: Endpoint | str) -> Channel:
        """A channel with the same proofs by another way, a `Link`'s address.

        A lane over a Unix socket opens without the proof of a calling service: that is bound
        to the socket itself, and a link is another. It is closed with this channel.
        """
        channel = Channel(self._name, endpoints, self._by)
        self._ways.append(channel)
        return channel

    async def close(self, grace: float | None = None) -> None:
        for channel in self._ways:
            await channel.close(grace)
        await super().close(grace)


@asynccontextmanager
async def serve(
    service: Servicer | Service | Blueprint,
    *,
    user: str = "user",
    permissions: Iterable[str] = (),
    data_scope: Scope = policy_pb2.SCOPE_ALL,
    staff_id: int = 0,
    branch_id: int = 0,
    caller: str = "",
    rights: Iterable[str] = (),
    purpose: str = "",
    scope_resolver: ScopeResolver | Mapping[str, ScopeResolver] | None = None,
    author_resolver: AuthorResolver | None = None,
    faults: Faults | None = None,
    telemetry: Telemetry | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[Served]:
    """Serve within the block, in a folder of its own; the channel is one caller's.

        served = Servicer(descriptor=…, implementation=Toy())
        async with serve(served, permissions={"customer.read"}) as channel:
            stub = CustomerServiceStub(channel)

    For several services, or several callers of one, see `Mesh`.

    Args:
        service: a contract with its implementation, which may leave out methods that the
            test does not call; a whole `Service`; or a `Blueprint`, which gets a database
            when it has migrations.
        user: the end user that the calls are for; empty: none.
        permissions: what the user may.
        data_scope: how far the user's reach goes.
        staff_id: of the user.
        branch_id: of the user.
        caller: the service that makes the calls, besides; empty: none.
        rights: what that service may.
        purpose: what the calls are for.
        scope_resolver: of a `Servicer`: whether a row is in reach; every row is by default.
        author_resolver: of a `Servicer`: who wrote a row; nobody known by default.
        faults: what is wrong with the service.
        telemetry: spans and meters; silent by default.
        clock: of the service.

    Raises:
        ContractError: the contract cannot be served as it is written.
    """
    if isinstance(service, Servicer):
        service = Service(
            servicers=[_complete(service)],
            scope_resolver=scope_resolver or _in_reach,
            author_resolver=author_resolver or _nobody,
        )
    with tempfile.TemporaryDirectory(prefix="serve-") as folder:
        blueprint = _blueprint(service, Path(folder) / "migrations")
        if faults is not None:
            blueprint = faults.around(blueprint)
        async with Mesh(Path(folder)) as mesh:
            if caller:
                mesh.trust(caller, rights)
            app = await mesh.start(blueprint, telemetry=telemetry, clock=clock)
            token = mesh.token(
                user,
                permissions=permissions,
                data_scope=data_scope,
                staff_id=staff_id,
                branch_id=branch_id,
            )
            proofs = mesh.proofs(token=token if user else "", caller=caller, purpose=purpose)
            endpoints, prove = mesh.endpoints(blueprint.name), mesh.prove(caller)
            async with Served(blueprint.name, endpoints, proofs, prove, app.entry) as channel:
                yield channel


def _blueprint(given: Service | Blueprint, folder: Path) -> Blueprint:
    """The blueprint to start; with a database where audit needs one."""
    if isinstance(given, Blueprint):
        return given
    methods = [contract.method(m) for s in given.servicers for m in s.descriptor.methods]
    if not any(method.policy.audited for method in methods):
        return Blueprint(name=SERVED, build=lambda _: given)
    (folder / "versions").mkdir(parents=True)
    return Blueprint(name=SERVED, build=lambda _: given, migrations=folder)


def _complete(servicer: Servicer) -> Servicer:
    """The servicer with the methods that its implementation leaves out."""
    handlers = {
        method.name: getattr(servicer.implementation, method.name, None) or _left_out(method)
        for method in servicer.descriptor.methods
    }
    return replace(servicer, implementation=SimpleNamespace(**handlers))


def _left_out(method: MethodDescriptor) -> Callable[[Any, Any], Any]:
    missing = f"the implementation under test has no {method.name}"

    async def unary(_request: Any, _context: Any) -> Any:
        raise MeshError(MeshReason.UNKNOWN_METHOD, missing)

    async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
        yield await unary(request, context)

    return stream if method.server_streaming else unary


async def _in_reach(principal: Principal, scope: Scope, row: Any) -> bool:  # noqa: ARG001
    return True


async def _nobody(method: Method, row: Any) -> str | None:  # noqa: ARG001
    return None
