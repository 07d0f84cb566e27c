"""Use cases of readers: find a version, see it, list materials."""

from __future__ import annotations

from centers.materials import wire
from centers.materials.errors import MaterialReason
from centers.materials.standing_rows import Standings
from centers.materials.wire import MaterialVersion
from engine.materials.v1 import materials_pb2
from mesh.clock import Clock
from mesh.definitions import DefinitionReason, Definitions, State
from mesh.errors import MeshError
from mesh.paging import Page, PageRequest


class Reading:
    """Finds materials, and says which of them may be used."""

    def __init__(
        self,
        definitions: Definitions[materials_pb2.Material],
        standings: Standings,
        clock: Clock,
    ) -> None:
        self._definitions = definitions
        self._standings = standings
        self._clock = clock

    async def get(self, material_id: int, version: int) -> materials_pb2.Material:
        """A version, whatever its state; 0 for the one in use, or the newest when none is.

        Raises:
            MeshError: DEFINITION_NOT_FOUND.
        """
        row = await self._standings.one(material_id)
        if row is not None and not version:
            version = row.version
        found = await self._definitions.get(material_id, version)
        return wire.material(found, recalled=row is not None and bool(row.recalled))

    async def page(
        self, request: PageRequest, kind: materials_pb2.MaterialType.ValueType
    ) -> Page[materials_pb2.Material]:
        """Materials in their newest version; those of another type are left out of the page."""
        page = await self._definitions.page(request)
        recalled = await self._standings.recalled([entry.definition_id for entry in page.entries])
        shown = [
            wire.material(entry, recalled=entry.definition_id in recalled)
            for entry in page.entries
            if kind in (materials_pb2.MATERIAL_TYPE_UNSPECIFIED, entry.body.material_type)
        ]
        return Page(shown, page.next_token)

    async def usable(
        self, material_id: int, version: int, *, review: bool = False
    ) -> MaterialVersion:
        """A version that may be used at this moment; 0 for the one in use.

        Costs one point read for the version in use: what it says is remembered,
        whether it may still be used is not.

        Args:
            material_id: the material.
            version: its version.
            review: whether one that waits for approval may be seen, when asked for by number.

        Raises:
            MeshError: DEFINITION_NOT_FOUND, NOT_PUBLISHED, MATERIAL_RECALLED or
                MATERIAL_EXPIRED.
        """
        row = await self._standings.one(material_id)
        if row is None:
            raise MeshError(DefinitionReason.DEFINITION_NOT_FOUND)
        if row.recalled:
            raise MeshError(MaterialReason.MATERIAL_RECALLED)
        if version in (0, row.version):
            if not row.version_id:
                raise MeshError(DefinitionReason.NOT_PUBLISHED)
            found = await self._definitions.by_version_id(row.version_id)
        else:
            found = await self._definitions.get(material_id, version)
        if not (found.is_published or (review and found.state is State.REVIEW)):
            raise MeshError(DefinitionReason.NOT_PUBLISHED)
        if wire.is_expired(found.body, self._clock.now()):
            raise MeshError(MaterialReason.MATERIAL_EXPIRED)
        return found
