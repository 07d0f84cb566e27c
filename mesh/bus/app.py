"""The bus as a service: what it is made of."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Final

from engine.mesh.v1 import bus_pb2
from mesh.bus.dead_letters import DeadLetters
from mesh.bus.news import News
from mesh.bus.retention import Retention
from mesh.bus.rpc import BusRpc
from mesh.bus.service import Bus
from mesh.bus.store import DeadLetterStore, EventStore, GroupStore
from mesh.service import Blueprint, Parts, Service, Servicer


def build(parts: Parts) -> Service:
    """The bus from its parts."""
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
    contract = bus_pb2.DESCRIPTOR.services_by_name["BusService"]
    return Service(
        servicers=[
            Servicer(descriptor=contract, implementation=BusRpc(bus, DeadLetters(dead, news)))
        ],
        resources=[Retention(events, groups, kept, parts.clock)],
        draining=news.close,
    )


BLUEPRINT: Final = Blueprint(
    name="bus",
    build=build,
    after=("identity",),
    migrations=Path(__file__).parent / "migrations",
    synchronous="FULL",  # the events of all others are held by this log alone
)
