"""The registry as a service: what it is made of."""

from __future__ import annotations

from typing import Any, Final

import grpc

from engine.mesh.v1 import registry_pb2
from mesh.registry._directory import DirectoryRegistry
from mesh.registry.addresses import NAME
from mesh.registry.folder import FolderTable
from mesh.registry.memory import MemoryTable
from mesh.registry.rpc import RegistryRpc, Terms
from mesh.registry.table import Table
from mesh.registry.xds.handler import Ads, from_this_host
from mesh.service import Blueprint, Parts, Service, Servicer

CONTRACT: Final = registry_pb2.DESCRIPTOR.services_by_name["RegistryService"]


def build(parts: Parts) -> Service:
    """The registry from its parts."""
    table, settings = Table(), parts.settings
    source = _source(table, parts)
    terms = Terms(lease_s=settings.registry_lease_s, renewal_s=settings.registry_renew_s)
    meters = parts.telemetry.meters
    meters.gauge("registry.instances", lambda: table.size)
    meters.gauge("registry.watchers", lambda: table.watchers)
    return Service(
        servicers=[
            Servicer(descriptor=CONTRACT, implementation=RegistryRpc(table, source, terms)),
        ],
        handlers=_handlers(table, parts),
        resources=[source],
        draining=table.close,
    )


def _handlers(table: Table, parts: Parts) -> list[grpc.GenericRpcHandler]:
    """The table by xDS, for those who may ask."""
    who, meters = parts.settings.registry_xds, parts.telemetry.meters
    if who == "none":
        return []
    may = from_this_host(parts.settings.host) if who == "local" else lambda _: True
    return [Ads(table, may, meters)]


def _source(table: Table, parts: Parts) -> Any:
    """Who keeps the table: the folder of this host, Redis, or this process alone."""
    settings = parts.settings
    if not settings.registries:
        return FolderTable(table, DirectoryRegistry(settings.run_dir))
    if parts.redis is not None:
        from mesh.registry.shared import SharedTable  # noqa: PLC0415 - who has no Redis skips it

        return SharedTable(table, parts.redis, settings.registry_lease_s)
    routes = DirectoryRegistry(settings.var / "registry")
    return MemoryTable(table, parts.clock, settings.registry_lease_s, routes)


BLUEPRINT: Final = Blueprint(
    name=NAME,
    build=build,
    single=True,  # clients know its port, and go on by their tables while it starts again
)
