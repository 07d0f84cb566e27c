"""What a service is made of, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import grpc
from google.protobuf.descriptor import ServiceDescriptor

from mesh.cache import Cache
from mesh.clock import Clock
from mesh.context import Principal, Scope
from mesh.contract import Method
from mesh.events import EventBus, Subscription
from mesh.lane.dial import Tls
from mesh.registry import Registry
from mesh.settings import Settings
from mesh.storage import Store
from mesh.telemetry import Telemetry
from mesh.tokens import ServiceKey, TokenVerifier

if TYPE_CHECKING:  # who has no Redis does not load its client
    from mesh.redis import RedisClient


class ScopeResolver(Protocol):
    """Answers whether a row lies within a caller's reach. Unknown rows do not."""

    async def __call__(self, principal: Principal, scope: Scope, row: Any) -> bool:
        """`row` is the value of the method's `scope_field`."""


class AuthorResolver(Protocol):
    """Answers who wrote what a method with `maker_checker` is about to put in force."""

    async def __call__(self, method: Method, row: Any) -> str | None:
        """`row` is the value of the method's `object_field`.

        The author is named as `RequestContext.actor` names him. None: there is no
        such row, and the handler says so.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the composition gives to a service.

    `channel(name)` is a channel to another service, open until the service
    stops; generated stubs take it. `store` is the service's own database; what its
    transactions publish is passed on to `bus`. `cache` is shared by all processes of
    the service when there is a `redis`, else it is of this one. `tls` is what other hosts
    are shown, for channels that a service opens by itself.
    """

    name: str
    settings: Settings
    registry: Registry
    store: Store
    cache: Cache
    clock: Clock
    telemetry: Telemetry
    key: ServiceKey
    verifier: TokenVerifier
    channel: Callable[[str], grpc.aio.Channel]
    bus: EventBus
    redis: RedisClient | None = None
    tls: Tls | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Servicer:
    """A contract and the object that serves it."""

    descriptor: ServiceDescriptor
    implementation: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service, ready to be run by `mesh.App`.

    Args:
        servicers: what it serves.
        resources: async context managers, entered in order before it serves and
            left in reverse order after it has drained.
        scope_resolver: answers scope questions of methods with `scope_field`; where these
            name different kinds of rows, one for each field: `{"customer_id": …}`.
        author_resolver: names the makers for methods with `maker_checker`.
        handlers: generic gRPC handlers outside our contracts (OTLP), each with
            its own checks.
        draining: called when the service begins to drain: end streams that have no end.
        subscriptions: the events that it consumes once it serves; their effects go to
            its store.
        http: asked once the resources are entered: the address of an HTTP edge.
    """

    servicers: Sequence[Servicer]
    resources: Sequence[AbstractAsyncContextManager[Any]] = ()
    scope_resolver: ScopeResolver | Mapping[str, ScopeResolver] | None = None
    author_resolver: AuthorResolver | None = None
    handlers: Sequence[grpc.GenericRpcHandler] = ()
    subscriptions: Sequence[Subscription] = ()
    http: Callable[[], str] | None = None
    draining: Callable[[], None] | None = None


RIGHTS_OF_ALL: Final = frozenset(
    {"trust.watch", "bus.publish", "bus.consume", "registry.register", "registry.watch"}
)
"""Permissions that every service holds: ended sessions, events, and its place in the registry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """What the composition must know of a service before it is built.

    Every service's `app.py` has one as `BLUEPRINT`.

    Args:
        name: name in the registry and on the command line.
        build: makes the service from its parts.
        after: services that must serve before this one starts.
        migrations: folder of Alembic revisions; None when it has no database.
        synchronous: how hard the database is synced: "FULL" or "NORMAL".
        single: whether only one process of it may run, whatever `ENGINE_REPLICAS` says,
            since it keeps in memory what its answers need. Say why beside it.
        rights: permissions that this service holds when it calls others, for
            itself and on behalf of users, beside those of all services.
    """

    name: str
    build: Callable[[Parts], Service]
    after: tuple[str, ...] = ()
    migrations: Path | None = None
    synchronous: str = "NORMAL"
    single: bool = False
    rights: frozenset[str] = field(default_factory=frozenset)
