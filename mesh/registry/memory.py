"""A registry that keeps its table by itself: instances in memory, routes in a folder."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Protocol

from mesh.background import Background
from mesh.clock import Clock
from mesh.errors import MeshError
from mesh.log import get_logger
from mesh.registry._base import Entry, Route, State
from mesh.registry.errors import RegistryReason
from mesh.registry.leases import LOOK_S, Leases
from mesh.registry.table import Table
from mesh.registry.watcher import Key, key_of

MAX_ENTRIES: Final = 10_000
"""Instances of all services together."""

_log = get_logger(__name__)


class Routes(Protocol):
    """Where routes outlive the process."""

    def routes(self) -> Mapping[str, Route]:
        """All routes by service."""

    async def set_route(self, route: Route) -> None:
        """Replace the route of its service; one without rules and splits removes it."""


class MemoryTable(Background):
    """Keeps `table` for as long as it is entered (`mesh.registry.rpc.Source`).

    It begins with no instance. Until one lease has passed some may live that have not yet
    been heard of, and the table is not settled.

    Args:
        table: kept true.
        clock: measures leases.
        lease_s: how long one lasts.
        routes: where routes are read at the start, and written; None: nowhere.
    """

    def __init__(
        self, table: Table, clock: Clock, lease_s: float, routes: Routes | None = None
    ) -> None:
        self._table = table
        self._clock = clock
        self._leases = Leases(clock, lease_s)
        self._settles_at = clock.monotonic() + lease_s
        self._routes = routes
        table.settle(settled=False)
        for route in routes.routes().values() if routes else ():
            table.set_route(route)

    async def register(self, entry: Entry) -> str:
        key = key_of(entry)
        if self._table.get(key) is None and self._table.size >= MAX_ENTRIES:
            raise MeshError(RegistryReason.TABLE_FULL)
        self._table.put(entry)
        return self._leases.give(key)

    async def renew(self, key: Key, lease_id: str, load: float) -> bool:
        entry = self._table.get(key)
        if entry is None or not self._leases.renew(key, lease_id):
            return False
        self._table.put(replace(entry, load=load))
        return True

    async def drain(self, key: Key, lease_id: str) -> bool:
        entry = self._table.get(key)
        if entry is None or not self._leases.renew(key, lease_id):
            return False
        self._table.put(replace(entry, state=State.DRAINING))
        return True

    async def withdraw(self, key: Key, lease_id: str) -> None:
        if self._leases.has(key, lease_id):
            self._leases.end(key)
            self._table.remove(key)

    async def set_route(self, route: Route) -> None:
        if self._routes is not None:
            await self._routes.set_route(route)
        self._table.set_route(route)

    def look(self) -> None:
        """Take out those whose leases have run out, and settle when it is time."""
        for key in self._leases.expired():
            _log.warning("lease_ran_out", of=key[0], instance=key[1])
            self._table.remove(key)
        if self._clock.monotonic() >= self._settles_at:
            self._table.settle()

    async def _run(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(LOOK_S)
