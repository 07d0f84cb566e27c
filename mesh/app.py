"""Runs one service: ordered start, register, drain, stop."""

from __future__ import annotations

import asyncio
import os
import secrets
import ssl
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from engine.mesh.v1 import lane_pb2
from mesh import contract
from mesh.audit import AuditLog, policy_version
from mesh.cache import Cache, LocalCache
from mesh.channels import Channels
from mesh.clock import Clock, SystemClock
from mesh.events import Consumer, EventBus, Relay, RemoteBus, Subscription
from mesh.host import host_id as host_id  # noqa: PLC0414 - many ask for it here
from mesh.interceptors import chain
from mesh.lane.ports import MAX_SOCKET_PATH, make_way
from mesh.lane.rpc import LaneRpc
from mesh.registry import Entry, Registry, State
from mesh.registry.load import LoadReport
from mesh.resilience import Resilience
from mesh.resilience.shedding import Shedder
from mesh.server import Lanes, Server
from mesh.service import Blueprint, Parts, Service, Servicer
from mesh.settings import Settings, SettingsError
from mesh.storage import SQLiteStore, Store, address, migrations, open_store
from mesh.telemetry import Telemetry
from mesh.tls import Certificate, Credentials
from mesh.tokens import TRUST_FILE, ServiceKey, TokenVerifier
from mesh.trust import TrustFeed

if TYPE_CHECKING:
    from mesh.redis import RedisClient

NOTICE_S = 0.25
"""How long a draining instance still takes calls, so that every peer has read the registry."""

LANES = lane_pb2.DESCRIPTOR.services_by_name["LaneService"]
"""What every service serves beside its own contracts."""

IDENTITY = "identity"
KEYS_S = 2.0
"""How long a start waits for the keys, where there is an identity centre to tell them."""
BUS = "bus"


class App:
    """A service in this process, as an async context manager.

    Entering returns once the service is registered and answers; leaving drains
    it. `entry` is its place in the registry.

    Args:
        blueprint: the service.
        settings: the platform's settings.
        registry: where it registers and finds others.
        telemetry: spans and meters; silent by default.
        port: TCP port to listen on; 0 picks one.
        replica: number of this process among those of the service on this host, from 1;
            it tells their sockets apart.
        version: what its entry says that it is; empty: the version of the program.
        keys: public keys of users' tokens, when no identity centre feeds them.
    """

    def __init__(
        self,
        blueprint: Blueprint,
        settings: Settings,
        registry: Registry,
        *,
        telemetry: Telemetry | None = None,
        clock: Clock | None = None,
        port: int = 0,
        replica: int = 1,
        version: str = "",
        keys: list[dict[str, str]] | None = None,
    ) -> None:
        self._blueprint = blueprint
        self._settings = settings
        self._registry = registry
        self._telemetry = telemetry or Telemetry()
        self._clock = clock or SystemClock()
        self._port = port
        self._replica = replica
        self._version = version or _version()
        self._keys = keys
        self._stack = AsyncExitStack()
        self._consumers = AsyncExitStack()
        self.entry: Entry

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self.drain()
        finally:
            await self._stack.aclose()

    async def drain(self, notice_s: float = NOTICE_S) -> None:
        """Stop to consume, and leave the registry's list; calls are still answered.

        Returns after `notice_s`, when whoever calls has read that.
        """
        if self.entry.state is State.DRAINING:
            return
        self.entry = replace(self.entry, state=State.DRAINING)
        await self._consumers.aclose()
        await self._registry.register(self.entry)
        await self._server.draining()
        self._lanes.close()
        if self._service.draining:
            self._service.draining()
        await asyncio.sleep(notice_s)

    async def _start(self) -> None:
        parts = await self._parts()
        if self._blueprint.migrations is not None:
            relay = Relay(parts.store.outbox, parts.bus, meters=self._telemetry.meters)
            await self._stack.enter_async_context(relay)
        await self._know_keys(parts)
        service = self._service = self._blueprint.build(parts)
        for resource in service.resources:
            await self._stack.enter_async_context(resource)
        _make_folder(self._socket())
        make_way(str(self._socket()))
        self._lanes = LaneRpc(lambda: self._server.host)
        shedder = await self._stack.enter_async_context(self._shedder())
        self._server = Server(
            (*service.servicers, Servicer(descriptor=LANES, implementation=self._lanes)),
            chain(self._telemetry, parts.verifier, parts.key, service, self._audit(parts, service)),
            (f"{self._settings.host}:{self._port}", f"unix:{self._socket()}"),
            shedder=shedder,
            drain_s=self._settings.drain_s,
            handlers=service.handlers,
            lanes=Lanes(ports=self._lane_ports(), check=parts.verifier.has_signed),
            tls=self._tls,
        )
        await self._stack.enter_async_context(self._server)
        host, meters = self._server.host, self._telemetry.meters
        meters.gauge("mesh.lanes_open", lambda: len(host.lanes))
        meters.gauge("mesh.lane_calls", lambda: host.calls_under_way)
        self.entry = self._entry(service.http() if service.http else "")
        await self._server.serving()
        await self._registry.register(self.entry)
        self._stack.push_async_callback(self._registry.withdraw, self.entry)
        await self._stack.enter_async_context(LoadReport(self._load, self._tell_load))
        await self._consume(parts, service.subscriptions)

    async def _know_keys(self, parts: Parts) -> None:
        """Learn what tokens are checked by before anybody calls.

        Who takes the place of another must not refuse that one's callers.
        """
        if self._keys is not None:
            parts.verifier.set_keys(self._keys)
        elif self._blueprint.name != IDENTITY:
            limit_s = self._settings.trust_silence_s
            feed = TrustFeed(parts.channel(IDENTITY), parts.verifier, limit_s=limit_s)
            await self._stack.enter_async_context(feed)
            if self._registry.lookup(IDENTITY):  # else it starts after us
                await feed.told(KEYS_S)

    async def _consume(self, parts: Parts, subscriptions: Sequence[Subscription]) -> None:
        """Hear events from now on; the first thing that ends when the service stops."""
        await self._stack.enter_async_context(self._consumers)
        for subscription in subscriptions:
            consumer = Consumer(parts.store, parts.bus, subscription, telemetry=self._telemetry)
            await self._consumers.enter_async_context(consumer)

    async def _parts(self) -> Parts:
        blueprint, settings = self._blueprint, self._settings
        store = await self._store()
        self._tls = await self._credentials()
        key = ServiceKey.load(settings.key_dir, blueprint.name)
        verifier = TokenVerifier.load(settings.key_dir, self._clock)
        channels = self._channels(key)
        redis = await self._redis()
        return Parts(
            name=blueprint.name,
            settings=settings,
            registry=self._registry,
            store=store,
            cache=self._cache(redis),
            clock=self._clock,
            telemetry=self._telemetry,
            key=key,
            verifier=verifier,
            channel=channels,
            bus=self._bus(channels, redis, verifier),
            redis=redis,
            tls=self._tls,
        )

    def _shedder(self) -> Shedder:
        settings, meters = self._settings, self._telemetry.meters
        return Shedder(settings.max_in_flight, settings.shed_delay_s, meters=meters)

    async def _store(self) -> Store:
        """The store, open and at its revision; one that is never opened when there is none."""
        blueprint, settings, telemetry = self._blueprint, self._settings, self._telemetry
        if blueprint.migrations is None:
            unused = settings.data_dir / f"{blueprint.name}.db"
            return SQLiteStore(unused, tracer=telemetry.tracer)
        where = address(settings, blueprint.name)
        prepare = migrations.upgrade if settings.migrate else migrations.check
        await asyncio.to_thread(prepare, where, blueprint.migrations)
        store = open_store(
            where,
            synchronous=blueprint.synchronous,
            tracer=telemetry.tracer,
            meters=telemetry.meters,
            clock=self._clock,
            slow_statement_s=settings.slow_statement_s,
            pool=settings.database_pool,
            timeout_s=settings.database_timeout_s,
        )
        return await self._stack.enter_async_context(store)

    async def _redis(self) -> RedisClient | None:
        if not self._settings.redis_url:
            return None
        from mesh.redis import open_redis  # noqa: PLC0415 - who has none does not load it

        try:
            redis = open_redis(self._settings, self._telemetry.meters)
        except ValueError as error:
            raise SettingsError(f"ENGINE_REDIS_URL: {error}") from error
        return await self._stack.enter_async_context(redis) if redis else None

    def _cache(self, redis: RedisClient | None) -> Cache:
        if redis is None:
            return LocalCache(clock=self._clock)
        from mesh.redis import RedisCache  # noqa: PLC0415 - as above

        meters = self._telemetry.meters
        return RedisCache(redis, self._blueprint.name, meters=meters, clock=self._clock)

    def _bus(
        self, channels: Channels, redis: RedisClient | None, verifier: TokenVerifier
    ) -> EventBus:
        if redis is None or self._settings.bus != "redis":
            return RemoteBus(channels(BUS))
        from mesh.redis.bus import RedisBus, bus_options  # noqa: PLC0415 - as above

        return RedisBus(redis, self._blueprint.name, bus_options(self._settings, verifier))

    def _audit(self, parts: Parts, service: Service) -> AuditLog:
        contracts = [servicer.descriptor for servicer in service.servicers]
        trust = (self._settings.key_dir / TRUST_FILE).read_bytes()
        has_store = self._blueprint.migrations is not None
        return AuditLog(
            store=parts.store if has_store else None,
            clock=self._clock,
            policy_version=policy_version(contracts, trust),
        )

    async def _credentials(self) -> Credentials | None:
        """What is shown to other hosts; None without a certificate, then only this one calls."""
        certificate = Certificate.of(self._settings, self._blueprint.name)
        if certificate is None:
            return None
        meters = self._telemetry.meters
        credentials = Credentials(certificate, clock=self._clock, meters=meters)
        return await self._stack.enter_async_context(credentials)

    def _channels(self, key: ServiceKey) -> Channels:
        channels = Channels(
            self._registry,
            key,
            self._tls,
            resilience=Resilience.of(self._settings),
            meters=self._telemetry.meters,
        )
        self._stack.push_async_callback(channels.close)
        return channels

    def _socket(self) -> Path:
        name = replica_name(self._blueprint.name, self._replica)
        return self._settings.run_dir.absolute() / f"{name}.sock"

    def _lane(self) -> Path:
        return self._socket().with_suffix(".lane")

    def _lane_ports(self) -> list[tuple[str, ssl.SSLContext | None]]:
        ports: list[tuple[str, ssl.SSLContext | None]] = [(f"unix:{self._lane()}", None)]
        if self._tls is not None:
            ports.append((f"{self._settings.host}:0", self._tls.server_context()))
        return ports

    def _tls_lanes(self) -> list[str]:
        return [f"tls:{self._settings.host}:{port}" for port in self._server.lane_ports]

    def _entry(self, http: str) -> Entry:
        return Entry(
            service=self._blueprint.name,
            instance=secrets.token_hex(4),
            address=f"{self._settings.host}:{self._server.ports[0]}",
            socket=str(self._socket()),
            lanes=(f"unix:{self._lane()}", *self._tls_lanes()),
            host_id=host_id(),
            pid=os.getpid(),
            version=self._version,
            http=http,
            digest=contract.digest((*(s.descriptor for s in self._service.servicers), LANES)),
        )

    def _load(self) -> float:
        """How full this process is, 0 to 1."""
        return min(1.0, self._server.calls_under_way / self._settings.max_in_flight)

    async def _tell_load(self, load: float) -> None:
        if self.entry.state is State.SERVING:
            self.entry = replace(self.entry, load=load)
            await self._registry.register(self.entry)


def replica_name(service: str, replica: int) -> str:
    """Tells apart the processes of a service on one host, as "action" and "action-2"."""
    return service if replica == 1 else f"{service}-{replica}"


def _version() -> str:
    try:
        return version("engine-platform")
    except PackageNotFoundError:
        return "0"


def _make_folder(path: Path) -> None:
    """Make the folder of a socket, ours alone.

    Raises:
        OSError: the path is longer than a Unix socket's may be.
    """
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise OSError(f"{path} is too long for a socket: set ENGINE_VAR to a shorter folder")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.chmod(0o700)  # it may have been copied, or made by hand
