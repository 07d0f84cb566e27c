"""The registry as a service uses it: its own place in the table, and a copy of the rest.

One stream brings changes, and a call now and then renews. Nothing that happens to the registry
touches calls that go on: look-ups read the copy, which stays as it is when nobody answers.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Final, Self

import grpc

from engine.mesh.v1 import registry_pb2 as pb
from engine.mesh.v1.registry_pb2_grpc import RegistryServiceStub
from mesh.background import Background
from mesh.channel import Channel
from mesh.context import CALLER
from mesh.errors import MeshError, MeshReason
from mesh.lane.dial import Tls
from mesh.log import get_logger
from mesh.registry._base import Entry, Registry, Route
from mesh.registry.addresses import NAME
from mesh.registry.copy import Copy
from mesh.registry.tenant import Tenants
from mesh.registry.wire import to_change, to_message
from mesh.tokens import ServiceKey

FIRST_BACKOFF_S: Final = 0.1
LAST_BACKOFF_S: Final = 2.0
"""Between attempts to reach a registry."""
STREAM_S: Final = 86_000.0
"""How long one stream lasts; then there is another."""
CALL_S: Final = 2.0
"""What a call to the registry may take."""

_log = get_logger(__name__)

Open = Callable[[str], grpc.aio.Channel]
"""Opens a channel to a registry at an address; it proves who calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long is waited for what.

    Args:
        keepalive_s: how often the registry says that its stream stands.
        silent_s: without a word for so long, the stream counts as half open.
        start_s: how long entering, and registering, wait for a registry; then things go
            on without one, and are made up for when it is there.
    """

    keepalive_s: float = 2.0
    silent_s: float = 5.0
    start_s: float = 2.0


class Silence(Exception):  # noqa: N818 - what was heard
    """The registry has said nothing for so long that nobody may be there."""


class LeaseRegistry(Background):
    """A `Registry` of leases, for as long as it is entered.

    Entering waits a little for the table, and goes on without it. Whatever happens to the
    registry, the copy stays; its own instances are registered again with whoever answers.

    Args:
        addresses: "host:port" of the registries; the first one is tried first.
        open_channel: opens a channel to one of them.
        folder: asked until the table was read for the first time, and told what is registered
            here: a host whose registry is away can still start its own processes.
        patience: how long is waited for what.
        jitter: a number from 0 to 1, for waits.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        open_channel: Open,
        *,
        folder: Registry | None = None,
        patience: Patience | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._addresses = cycle(addresses)
        self._open = open_channel
        self._folder = folder
        self._patience = patience or Patience()
        self._jitter = jitter
        self._copy = Copy()
        self._tenants = Tenants(self._patience.start_s)
        self._has_read = asyncio.Event()
        self._stub: Any = None
        self.sessions = 0
        """How often a registry has answered with its table."""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        try:
            async with asyncio.timeout(self._patience.start_s):
                await self._has_read.wait()
        except TimeoutError:
            if self._patience.start_s:
                _log.warning("registry_not_reached", waited_s=self._patience.start_s)
        return self

    # What `Registry` asks for.

    async def register(self, entry: Entry) -> None:
        """Add the instance, or replace its entry.

        Without a registry it is told as soon as there is one.

        Raises:
            MeshError: the registry refuses the entry.
        """
        if self._folder is not None:
            await self._folder.register(entry)
        await self._tenants.add(entry)

    async def withdraw(self, entry: Entry) -> None:
        if self._folder is not None:
            await self._folder.withdraw(entry)
        await self._tenants.remove(entry)

    def lookup(self, service: str) -> Sequence[Entry]:
        if self._folder is not None and not self._has_read.is_set():
            return self._folder.lookup(service)
        return self._copy.lookup(service)

    def services(self) -> Mapping[str, Sequence[Entry]]:
        if self._folder is not None and not self._has_read.is_set():
            return self._folder.services()
        return self._copy.services()

    def route(self, service: str) -> Route:
        return self._copy.route(service)

    async def set_route(self, route: Route) -> None:
        """Replace the route of its service; one without rules and splits removes it.

        Raises:
            MeshError: UNAVAILABLE, when no registry answers.
            grpc.aio.AioRpcError: it refuses.
        """
        if self._stub is None:
            raise MeshError(MeshReason.UNAVAILABLE, "No registry answers: try again in a second")
        request = pb.SetRouteRequest(route=to_message(route))
        await self._stub.SetRoute(request, timeout=CALL_S)
        self._copy.set_route(route)

    @property
    def is_connected(self) -> bool:
        """Whether a registry answers now."""
        return self._stub is not None

    # One session after another.

    async def _run(self) -> None:
        backoff_s = FIRST_BACKOFF_S
        for address in self._addresses:
            before = self.sessions
            try:
                async with self._open(address) as channel:
                    await self._session(RegistryServiceStub(channel))
            except* (grpc.aio.AioRpcError, Silence, TimeoutError) as errors:
                # Each attempt that follows is not worth a line.
                tell = _log.debug if backoff_s > FIRST_BACKOFF_S else _log.warning
                tell("registry_lost", address=address, problem=_problem(errors))
            finally:
                self._stub = None
            if self.sessions > before:
                backoff_s = FIRST_BACKOFF_S
            await asyncio.sleep(backoff_s * (0.5 + self._jitter() / 2))
            backoff_s = min(2 * backoff_s, LAST_BACKOFF_S)

    async def _session(self, stub: Any) -> None:
        """Follow one registry until it is lost."""
        self._tenants.start_over()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(stub), name="registry watch")
            group.create_task(self._tenants.keep(stub), name="registry leases")

    async def _follow(self, stub: Any) -> None:
        request = pb.WatchRequest()
        request.keepalive.FromNanoseconds(int(self._patience.keepalive_s * 1e9))
        responses = stub.Watch(request, timeout=STREAM_S)
        async for response in _heard(aiter(responses), self._patience.silent_s):
            self._copy.apply(to_change(response))
            if response.whole and self._stub is None:
                self._stub = stub
                self.sessions += 1
                _log.info("registry_found", version=response.version, session=self.sessions)
                self._has_read.set()
        raise Silence("the registry stops")


async def _heard(
    responses: AsyncIterator[pb.WatchResponse], silent_s: float
) -> AsyncIterator[pb.WatchResponse]:
    """The responses; one that does not come in time ends it.

    Raises:
        Silence: nothing came.
    """
    while True:
        try:
            async with asyncio.timeout(silent_s):
                response = await anext(responses, None)
        except TimeoutError:
            raise Silence(f"nothing was heard for {silent_s:g} s") from None
        if response is None:
            return
        yield response


def _problem(errors: BaseExceptionGroup[Any]) -> str:
    first = errors.exceptions[0]
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first.code().name if isinstance(first, grpc.aio.AioRpcError) else str(first)


def opener(key: ServiceKey, tls: Tls | None = None) -> Open:
    """Opens channels that prove whose key it is, with TLS where the registry asks for it.

    No lane: one stream and few calls are not worth one, and a connection that is half open
    shows by the stream.
    """

    def open_channel(address: str) -> grpc.aio.Channel:
        return Channel(NAME, (address,), lambda: ((CALLER, key.token()),), carriers=(), tls=tls)

    return open_channel
