"""A mesh under test: several services, their stores, several users."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from joserfc.jwk import OKPKey

from engine.mesh.v1 import policy_pb2
from mesh import context as wire
from mesh.app import IDENTITY, App, host_id
from mesh.channel import Channel, Endpoints, Proofs, registered
from mesh.clock import Clock
from mesh.context import Metadata, Principal, Scope
from mesh.lane.hello import Prove
from mesh.registry import DirectoryRegistry
from mesh.service import RIGHTS_OF_ALL, Blueprint
from mesh.settings import Settings
from mesh.storage import Store, address, open_store
from mesh.telemetry import NullTracer, Telemetry
from mesh.tokens import ServiceKey, sign_user, write_trust

KEY_ID = "testing"


class Mesh:
    """A mesh within this process, in a folder of its own, as an async context manager.

        async with Mesh(tmp_path) as mesh:
            await mesh.start(BLUEPRINT)
            token = mesh.token("rm001", permissions={"customer.read"})
            stub = CustomerServiceStub(mesh.channel("customer", token=token))

    It signs users' tokens itself, unless the identity centre is started first:
    then services take their keys from there. A test of events starts
    `mesh.bus.app.BLUEPRINT` after the services that use it, or trusts them before
    with `mesh.service.RIGHTS_OF_ALL`; without a bus events stay in their outboxes.

    `defaults` says which settings a mesh in a folder has when the test names none:
    by it one run of all tests is on other stores than the next. In the same way
    `replicas` says how many processes of each service with a database are started.
    """

    replicas: ClassVar[int] = 1

    defaults: ClassVar[Callable[[Path], Mapping[str, Any]]] = staticmethod(lambda _: {})

    def __init__(self, folder: Path, **settings: Any) -> None:
        defaults = {"gateway_port": 0, "port_base": 0, "metrics_port": 0, "drain_s": 1.0}
        chosen = {**defaults, **type(self).defaults(folder), **settings}
        self.settings = Settings(var=folder, **chosen)
        self.registry = DirectoryRegistry(self.settings.run_dir)
        self._issuer = OKPKey.generate_key("Ed25519")
        self._rights: dict[str, frozenset[str]] = {}
        self._stack = AsyncExitStack()
        self._serves_identity = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    def trust(self, service: str, rights: Iterable[str]) -> None:
        """Trust a calling service with `rights`; before the services that it calls start."""
        self._rights[service] = frozenset(rights)
        write_trust(self.settings.key_dir, self._rights)

    async def start(
        self,
        blueprint: Blueprint,
        *,
        telemetry: Telemetry | None = None,
        clock: Clock | None = None,
        replica: int = 1,
        **settings: Any,
    ) -> App:
        """Run a service until the mesh is left; start what it calls first.

        A second process of the same service is `replica=2`; they share its database.
        """
        self.trust(blueprint.name, blueprint.rights | RIGHTS_OF_ALL)
        self._serves_identity |= blueprint.name == IDENTITY
        app = App(
            blueprint,
            replace(self.settings, **settings),
            self.registry,
            telemetry=telemetry,
            clock=clock,
            replica=replica,
            keys=None if self._serves_identity else [self._public_key()],
        )
        await self._stack.enter_async_context(app)
        self._stack.push_async_callback(app.drain, notice_s=0)  # whoever calls, ends as well
        if replica < self.replicas and blueprint.migrations is not None and not blueprint.single:
            further = {"clock": clock, "replica": replica + 1, **settings}
            await self.start(blueprint, telemetry=telemetry, **further)
        return app

    def store(self, service: str) -> AbstractAsyncContextManager[Store]:
        """What a service keeps, beside the service itself; to be entered."""
        return open_store(address(self.settings, service), tracer=NullTracer())

    def token(
        self,
        subject: str,
        *,
        permissions: Iterable[str] = (),
        data_scope: Scope = policy_pb2.SCOPE_UNSPECIFIED,
        staff_id: int = 0,
        branch_id: int = 0,
        session_id: str = "session",
        ttl_s: float = 300.0,
    ) -> str:
        """An access token; a negative `ttl_s` makes an expired one."""
        principal = Principal(
            subject=subject,
            permissions=frozenset(permissions),
            data_scope=data_scope,
            staff_id=staff_id,
            branch_id=branch_id,
            session_id=session_id,
        )
        return sign_user(principal, self._issuer, KEY_ID, issued=time.time(), ttl_s=ttl_s)

    def channel(
        self, service: str, *, token: str = "", caller: str = "", purpose: str = ""
    ) -> Channel:
        """A channel that carries a user's token, a trusted service's proof, or both."""
        proofs = self.proofs(token=token, caller=caller, purpose=purpose)
        channel = Channel(service, self.endpoints(service), proofs, prove=self.prove(caller))
        self._stack.push_async_callback(channel.close)
        return channel

    def endpoints(self, service: str) -> Endpoints:
        """Where a service is at the moment of each call."""
        return registered(self.registry, service, host_id())

    def proofs(self, *, token: str = "", caller: str = "", purpose: str = "") -> Proofs:
        """What a channel is given to carry; as `channel`."""
        key = ServiceKey.load(self.settings.key_dir, caller) if caller else None

        def proofs() -> Metadata:
            pairs: list[tuple[str, str | bytes]] = []
            if token:
                pairs.append((wire.AUTHORIZATION, f"Bearer {token}"))
            if key:
                pairs.append((wire.CALLER, key.token()))
            if purpose:
                pairs.append((wire.PURPOSE, purpose))
            return tuple(pairs)

        return proofs

    def prove(self, caller: str) -> Prove | None:
        """How a trusted service proves itself where a lane opens; None: nobody does."""
        return ServiceKey.load(self.settings.key_dir, caller).sign if caller else None

    def _public_key(self) -> dict[str, str]:
        return {
            **{k: str(v) for k, v in self._issuer.as_dict(private=False).items()},
            "kid": KEY_ID,
        }
