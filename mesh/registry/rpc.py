"""Serves `engine.mesh.v1.RegistryService`: messages to the table and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from engine.mesh.v1 import registry_pb2 as pb
from engine.mesh.v1.registry_pb2_grpc import RegistryServiceServicer
from mesh import context
from mesh.errors import MeshError
from mesh.registry._base import Entry, Route
from mesh.registry.errors import RegistryReason
from mesh.registry.table import Table
from mesh.registry.watcher import Key
from mesh.registry.wire import (
    from_key,
    to_entry,
    to_instance,
    to_message,
    to_response,
    to_route,
)

KEEPALIVE_S: Final = 2.0
"""How often a watcher hears that the stream stands, when he does not say."""


class Source(Protocol):
    """Keeps the table true, and takes what services tell."""

    async def register(self, entry: Entry) -> str:
        """Add an instance, or replace its entry; the id of its lease."""

    async def renew(self, key: Key, lease_id: str, load: float) -> bool:
        """Let a lease last anew; whether it is known."""

    async def drain(self, key: Key, lease_id: str) -> bool:
        """Let an instance take no further calls; whether its lease is known."""

    async def withdraw(self, key: Key, lease_id: str) -> None:
        """Take an instance out, if this is its lease."""

    async def set_route(self, route: Route) -> None:
        """Replace the route of its service; one without rules and splits removes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How long a lease lasts, and how often to renew it."""

    lease_s: float
    renewal_s: float


class RegistryRpc(RegistryServiceServicer):
    """The registry's contract.

    Args:
        table: answers.
        source: keeps it true.
        terms: of leases.
    """

    def __init__(self, table: Table, source: Source, terms: Terms) -> None:
        self._table = table
        self._source = source
        self._terms = terms

    async def Register(self, request: pb.RegisterRequest, _: object) -> pb.RegisterResponse:
        _only_its_own(request.instance.service)
        response = pb.RegisterResponse(
            lease_id=await self._source.register(to_entry(request.instance))
        )
        response.lease.FromTimedelta(timedelta(seconds=self._terms.lease_s))
        response.renewal.FromTimedelta(timedelta(seconds=self._terms.renewal_s))
        return response

    async def Renew(self, request: pb.RenewRequest, _: object) -> pb.RenewResponse:
        _only_its_own(request.key.service)
        key = from_key(request.key)
        if not await self._source.renew(key, request.lease_id, request.load):
            raise MeshError(RegistryReason.LEASE_UNKNOWN)
        return pb.RenewResponse()

    async def Drain(self, request: pb.DrainRequest, _: object) -> pb.DrainResponse:
        _only_its_own(request.key.service)
        if not await self._source.drain(from_key(request.key), request.lease_id):
            raise MeshError(RegistryReason.LEASE_UNKNOWN)
        return pb.DrainResponse()

    async def Withdraw(self, request: pb.WithdrawRequest, _: object) -> pb.WithdrawResponse:
        _only_its_own(request.key.service)
        await self._source.withdraw(from_key(request.key), request.lease_id)
        return pb.WithdrawResponse()

    async def Watch(self, request: pb.WatchRequest, _: object) -> AsyncIterator[pb.WatchResponse]:
        wait_s = request.keepalive.ToTimedelta().total_seconds() or KEEPALIVE_S
        with self._table.watch(request.services) as watcher:
            while (change := await watcher.next(wait_s)) is not None:
                yield to_response(change)

    async def ListEntries(
        self, request: pb.ListEntriesRequest, _: object
    ) -> pb.ListEntriesResponse:
        found = self._table.snapshot()
        services = [request.service] if request.service else found.entries
        return pb.ListEntriesResponse(
            instances=[to_instance(entry) for service in services for entry in found.of(service)]
        )

    async def GetRoute(self, request: pb.GetRouteRequest, _: object) -> pb.GetRouteResponse:
        return pb.GetRouteResponse(route=to_message(self._table.route(request.service)))

    async def SetRoute(self, request: pb.SetRouteRequest, _: object) -> pb.SetRouteResponse:
        await self._source.set_route(to_route(request.route))
        return pb.SetRouteResponse()


def _only_its_own(service: str) -> None:
    """Refuse who speaks for another service; the chain has proven who calls.

    Raises:
        MeshError: ENTRY_OF_ANOTHER.
    """
    if context.current().service != service:
        raise MeshError(RegistryReason.ENTRY_OF_ANOTHER)
