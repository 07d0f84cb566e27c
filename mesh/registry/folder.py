"""A registry that shows the folder of its host, for clients that know xDS and no folder."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from mesh.background import Background
from mesh.errors import MeshError
from mesh.registry._base import Entry, Route
from mesh.registry.errors import RegistryReason
from mesh.registry.table import Table
from mesh.registry.watcher import Key

FOLLOW_S: Final = 0.05
"""How often the folder is looked at. It reads its files only when something has changed."""


class Folder(Protocol):
    """The registry of the host: `mesh.registry.DirectoryRegistry`."""

    def services(self) -> Mapping[str, Sequence[Entry]]:
        """All instances by service."""

    def routes(self) -> Mapping[str, Route]:
        """All routes by service."""

    async def set_route(self, route: Route) -> None:
        """Replace the route of its service."""


class FolderTable(Background):
    """Lets `table` follow a folder for as long as it is entered (`mesh.registry.rpc.Source`).

    An instance is there while its process lives, so nobody takes a lease.
    """

    def __init__(self, table: Table, folder: Folder) -> None:
        self._table = table
        self._folder = folder

    async def register(self, entry: Entry) -> str:  # noqa: ARG002 - nobody may
        raise MeshError(RegistryReason.TABLE_IS_A_FOLDER)

    async def renew(self, key: Key, lease_id: str, load: float) -> bool:  # noqa: ARG002 - as above
        raise MeshError(RegistryReason.TABLE_IS_A_FOLDER)

    async def drain(self, key: Key, lease_id: str) -> bool:  # noqa: ARG002 - as above
        raise MeshError(RegistryReason.TABLE_IS_A_FOLDER)

    async def withdraw(self, key: Key, lease_id: str) -> None:  # noqa: ARG002 - as above
        raise MeshError(RegistryReason.TABLE_IS_A_FOLDER)

    async def set_route(self, route: Route) -> None:
        await self._folder.set_route(route)
        self._table.set_route(route)

    def look(self) -> None:
        """Be as the folder is now."""
        entries = (entry for group in self._folder.services().values() for entry in group)
        self._table.replace(entries, self._folder.routes().values())

    async def _run(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(FOLLOW_S)
