"""Who plays: demo users and local identities, with channels to every service."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import grpc

from cli.token import DEMO_PASSWORD
from engine.identity.v1 import identity_pb2, identity_pb2_grpc
from mesh import context as wire
from mesh.app import host_id
from mesh.channel import Channel, Proofs, no_proofs, registered
from mesh.context import Metadata
from mesh.registry import DirectoryRegistry
from mesh.settings import Settings
from mesh.tokens import ServiceKey

PATIENCE_S: Final = 60.0
"""How long a call is tried again while its service is away."""
RENEW_S: Final = 120.0
"""Between two sign-ons of everybody: well within the life of a token."""
FIRST_DELAY_S, LAST_DELAY_S = 0.05, 1.0
TOGETHER: Final = 16
"""Calls under way at once."""
BATCH: Final = 2_000
"""Rows handed in by one call."""

_PASSING: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
    }
)

T = TypeVar("T")
Item = TypeVar("Item")


class People:
    """Signs demo users on, and keeps them signed on. An async context manager."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._registry = DirectoryRegistry(settings.run_dir)
        self._channels: dict[tuple[str, str], Channel] = {}
        self._tokens: dict[str, str] = {}
        self._keys: dict[str, ServiceKey] = {}

    async def __aenter__(self) -> Self:
        self._renewing = asyncio.create_task(self._renew(), name="renew")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._renewing.cancel()
        for channel in self._channels.values():
            await channel.close()

    async def sign_on(self, usernames: Iterable[str]) -> None:
        """Sign these demo users on, as far as they are not."""
        missing = [name for name in usernames if name not in self._tokens]
        await together(missing, self._sign_on)

    def as_user(self, username: str, service: str) -> grpc.aio.Channel:
        """A channel to a service that carries the user's present token."""

        def proofs() -> Metadata:
            return ((wire.AUTHORIZATION, f"Bearer {self._tokens[username]}"),)

        return self._channel(username, service, proofs)

    def as_local(self, name: str, service: str) -> grpc.aio.Channel:
        """A channel to a service that acts as a local identity of this machine."""
        key = self._keys.setdefault(name, ServiceKey.load(self._settings.key_dir, name))
        return self._channel(name, service, lambda: ((wire.CALLER, key.token()),))

    def _channel(self, who: str, service: str, proofs: Proofs) -> grpc.aio.Channel:
        if (who, service) not in self._channels:
            endpoints = registered(self._registry, service, host_id())
            self._channels[who, service] = Channel(service, endpoints, proofs)
        return self._channels[who, service]

    async def _sign_on(self, username: str) -> None:
        channel = self._channel("", "identity", no_proofs)
        identity: Any = identity_pb2_grpc.IdentityServiceStub(channel)
        request = identity_pb2.CreateSessionRequest(username=username, password=DEMO_PASSWORD)
        answer = await tried(lambda: identity.CreateSession(request))
        self._tokens[username] = answer.grant.access_token

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            await together(list(self._tokens), self._sign_on)


async def tried(call: Callable[[], Awaitable[T]], patience_s: float = PATIENCE_S) -> T:
    """What `call` answers, tried again while its service is away.

    The request must carry an idempotency key or be harmless to repeat.
    """
    loop = asyncio.get_running_loop()
    until, delay_s = loop.time() + patience_s, FIRST_DELAY_S
    while True:
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            if error.code() not in _PASSING or loop.time() > until:
                raise
        await asyncio.sleep(delay_s)
        delay_s = min(2 * delay_s, LAST_DELAY_S)


async def together(
    items: Iterable[Item], act: Callable[[Item], Awaitable[T]], most: int = TOGETHER
) -> list[T]:
    """What `act` makes of each item, a few at once; in the order of the items."""
    places = asyncio.Semaphore(most)

    async def one(item: Item) -> T:
        async with places:
            return await act(item)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(item)) for item in items]
    return [task.result() for task in tasks]


async def until(
    found: Callable[[], Awaitable[T]], enough: Callable[[T], bool], patience_s: float = PATIENCE_S
) -> T:
    """Ask until it is enough, or patience ends; the last answer."""
    loop = asyncio.get_running_loop()
    limit, delay_s = loop.time() + patience_s, FIRST_DELAY_S
    while True:
        answer = await tried(found)
        if enough(answer) or loop.time() > limit:
            return answer
        await asyncio.sleep(delay_s)
        delay_s = min(2 * delay_s, LAST_DELAY_S)


def request_id() -> str:
    """A new idempotency key."""
    return uuid.uuid4().hex


def slices(rows: Sequence[T], size: int = BATCH) -> Iterator[Sequence[T]]:
    """The rows, so many at a time."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
