"""Use cases of those who speak: an approved script, filled."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from centers.materials import script, wire
from centers.materials.errors import MaterialReason
from centers.materials.reading import Reading
from engine.materials.v1 import materials_pb2
from mesh.definitions import DefinitionReason
from mesh.errors import MeshError, Reason

REFUSALS: Final[Mapping[Reason, str]] = {
    DefinitionReason.DEFINITION_NOT_FOUND: "NOT_FOUND",
    MaterialReason.NOT_A_SCRIPT: "NOT_FOUND",
    DefinitionReason.NOT_PUBLISHED: "NOT_PUBLISHED",
    MaterialReason.MATERIAL_RECALLED: "RECALLED",
    MaterialReason.MATERIAL_EXPIRED: "EXPIRED",
    MaterialReason.SLOTS_INVALID: "SLOTS_INVALID",
}
"""What a centre is told instead of an error."""


class Scripts:
    """Fills scripts. What leaves is an approved version with its values, and its hash."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    async def render(
        self, material_id: int, version: int, values: Mapping[str, str]
    ) -> materials_pb2.RenderedScript:
        """The words that may be said now.

        Raises:
            MeshError: one of `REFUSALS`.
        """
        found = await self._reading.usable(material_id, version)
        if found.body.material_type != wire.SCRIPT:
            raise MeshError(MaterialReason.NOT_A_SCRIPT)
        text = script.filled(found.body.text, found.body.slots, values)
        return materials_pb2.RenderedScript(
            material_id=material_id,
            version=found.version,
            text=text,
            sha256=hashlib.sha256(text.encode()).hexdigest(),
            product_ids=found.body.product_ids,
        )

    async def screen(
        self, material_id: int, version: int, values: Mapping[str, str]
    ) -> materials_pb2.ScreenScriptResponse:
        """The same, with a code where it may not be."""
        try:
            found = await self.render(material_id, version, values)
        except MeshError as error:
            refusal = REFUSALS.get(error.reason)
            if refusal is None:
                raise
            return materials_pb2.ScreenScriptResponse(refusal=refusal)
        return materials_pb2.ScreenScriptResponse(script=found)
