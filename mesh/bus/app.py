"""The bus as a service: what it is made of."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from engine.mesh.v1 import bus_pb2
from mesh.bus.dead_letters import DeadLetters
from mesh.bus.news import News
from mesh.bus.retention import Retention
from mesh.bus.rpc import BusRpc
from mesh.bus.service import Bus
from mesh.bus.store import DeadLetterStore, EventStore, GroupStore
from mesh.service import Blueprint, Parts, Service, Servicer

if TYPE_CHECKING:
    from mesh.redis import RedisClient


def build(parts: Parts) -> Service:
    """The bus from its parts: its own log, or a look at the one that Redis holds."""
    if parts.settings.bus == "redis" and parts.redis is not None:
        return _on_redis(parts, parts.redis)
    return _embedded(parts)


def _embedded(parts: Parts) -> Service:
    news = News()
    events, groups = EventStore(parts.store), GroupStore(parts.store)
    dead = DeadLetterStore(parts.store)
    settings = parts.settings
    bus = Bus(
        events,
        groups,
        dead,
        news,
        parts.clock,
        lease_s=settings.bus_lease_s,
        services=parts.verifier.services,
    )
    kept = timedelta(days=settings.bus_retention_days)
    return Service(
        servicers=[_servicer(BusRpc(bus, bus, DeadLetters(dead, news)))],
        resources=[Retention(events, groups, kept, parts.clock)],
        draining=news.close,
    )


def _on_redis(parts: Parts, redis: RedisClient) -> Service:
    """Several of it may run: services reach Redis by themselves, and operators any of it."""
    from mesh.redis.bus import RedisLog, RedisView, bus_options  # noqa: PLC0415 - as mesh.app does

    news = News()
    log = RedisLog(redis, bus_options(parts.settings, parts.verifier))
    view = RedisView(redis, news)

    def draining() -> None:
        news.close()
        log.close()

    return Service(
        servicers=[_servicer(BusRpc(log, view, DeadLetters(view, news)))], draining=draining
    )


def _servicer(rpc: BusRpc) -> Servicer:
    contract = bus_pb2.DESCRIPTOR.services_by_name["BusService"]
    return Servicer(descriptor=contract, implementation=rpc)


BLUEPRINT: Final = Blueprint(
    name="bus",
    build=build,
    after=("identity",),
    migrations=Path(__file__).parent / "migrations",
    synchronous="FULL",  # the events of all others are held by this log alone
    single=True,  # who of a group is served, and who waits for events, is known to one process
)
