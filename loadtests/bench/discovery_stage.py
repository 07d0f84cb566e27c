"""What the suite `discovery` runs on: a registry of leases, and who asks it."""

from __future__ import annotations

import asyncio
import json
import socket
import tempfile
import time
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import uvloop
from joserfc.jwk import OKPKey

import gateway.app
from engine.mesh.v1 import policy_pb2
from loadtests.bench.discovery_servers import HOST, MODULE, USERS, settings_in
from loadtests.bench.servers import collect_seldom, started
from mesh import Principal
from mesh.balancing import Source
from mesh.channel import Channel, Endpoint, registered
from mesh.context import AUTHORIZATION, CALLER, Metadata
from mesh.host import host_id
from mesh.registry.client import LeaseRegistry, opener
from mesh.service import RIGHTS_OF_ALL
from mesh.tokens import ServiceKey, sign_user, write_trust

SERVICE: Final = "customer"
CLIENT: Final = "gateway"
KEY_ID: Final = "bench"
TTL_S: Final = 3_600.0

_USER: Final = Principal(
    subject="rm001",
    permissions=frozenset({"customer.read"}),
    data_scope=policy_pb2.SCOPE_OWN_BOOK,
    session_id="session",
)

Answer = TypeVar("Answer")


class Stage:
    """A folder with keys, a registry that runs, and a loop for those who ask it."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder
        self._runner = stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
        self._port = _free_port()
        self.settings = settings_in(folder, self._port)
        self._token = _keys_in(self.settings.key_dir, folder)
        self._key = ServiceKey.load(self.settings.key_dir, CLIENT)
        self.start("registry")

    def start(self, kind: str) -> dict[str, Any]:
        """Start a process; it ends with the suite."""
        more = (str(self._folder), str(self._port))
        return self._stack.enter_context(started(kind, *more, module=MODULE))

    @contextmanager
    def running(self, kind: str) -> Iterator[dict[str, Any]]:
        """A process for the length of a block."""
        with started(kind, str(self._folder), str(self._port), module=MODULE) as said:
            yield said

    def run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Do something in the loop of those who ask."""
        return self._runner.run(work)

    def registry(self, service: str = CLIENT) -> LeaseRegistry:
        """The registry as a service uses it; to be entered."""
        key = ServiceKey.load(self.settings.key_dir, service)
        return LeaseRegistry([self.settings.registry], opener(key))

    def channel(self, where: Source | list[Endpoint]) -> Channel:
        """A channel to the service, by a table or a list; within the loop alone."""
        return Channel(SERVICE, where, self._proofs, prove=self._key.sign)

    def by_registry(self, registry: LeaseRegistry) -> Channel:
        """A channel to the service wherever the registry says that it is."""
        return self.channel(registered(registry, SERVICE, host_id()))

    def _proofs(self) -> Metadata:
        return ((AUTHORIZATION, f"Bearer {self._token}"), (CALLER, self._key.token()))


def _keys_in(keys: Path, folder: Path) -> str:
    """Write who is trusted; answers a user's token."""
    rights = {SERVICE: (), "registry": (), CLIENT: gateway.app.BLUEPRINT.rights}
    write_trust(keys, {name: {*given, *RIGHTS_OF_ALL} for name, given in rights.items()})
    issuer = OKPKey.generate_key("Ed25519")
    public = {name: str(value) for name, value in issuer.as_dict(private=False).items()}
    (folder / USERS).write_text(json.dumps([{**public, "kid": KEY_ID}]))
    return sign_user(_USER, issuer, KEY_ID, issued=time.time(), ttl_s=TTL_S)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def staged() -> Iterator[Stage]:
    """Everything that the suite needs."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="engine-"))
        stage = Stage(stack, Path(folder))
        collect_seldom()
        yield stage
