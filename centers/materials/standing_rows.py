"""Which materials there are, and which version of each may be used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from centers.materials.errors import MaterialReason
from centers.materials.tables import material
from engine.materials.v1 import materials_pb2
from mesh.errors import MeshError
from mesh.storage import Row, Store, Transaction

_c: Final = material.c
_ONE: Final = sa.select(material).where(_c.material_id == sa.bindparam("of_material"))
_RECALLED: Final = sa.select(_c.material_id).where(
    _c.recalled, _c.material_id.in_(sa.bindparam("of_materials", expanding=True))
)
_ADD: Final = sa.insert(material)
_HELD: Final = sa.update(material).where(
    _c.material_id == sa.bindparam("of_material"), ~_c.recalled
)
_USE: Final = _HELD.values(version=sa.bindparam("used"), version_id=sa.bindparam("used_id"))
_RECALL: Final = _HELD.values(recalled=True, recall_reason=sa.bindparam("why"))


class Standings:
    """Rows of `material`; what writes takes the call's transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def one(self, material_id: int) -> Row | None:
        """The row of a material; None when there is none."""
        rows = await self._store.fetch_all(_ONE, {"of_material": material_id})
        return rows[0] if rows else None

    async def is_recalled(self, material_id: int) -> bool:
        """Whether it is; also False for one that does not exist."""
        row = await self.one(material_id)
        return row is not None and bool(row.recalled)

    async def recalled(self, material_ids: Sequence[int]) -> frozenset[int]:
        """Those of the materials that are."""
        rows = await self._store.fetch_all(_RECALLED, {"of_materials": list(material_ids)})
        return frozenset(row.material_id for row in rows)

    async def add(
        self, tx: Transaction, material_id: int, kind: materials_pb2.MaterialType.ValueType
    ) -> None:
        """A material that was just drafted."""
        row: dict[str, Any] = {
            "material_id": material_id,
            "material_type": kind,
            "recalled": False,
            "recall_reason": "",
            "version": 0,
            "version_id": 0,
        }
        await tx.execute(_ADD, row)

    async def held(self, tx: Transaction, material_id: int) -> Row | None:
        """The row as the transaction sees it; None when there is no such material.

        Raises:
            MeshError: MATERIAL_RECALLED.
        """
        rows = await tx.fetch_all(_ONE, {"of_material": material_id})
        if rows and rows[0].recalled:
            raise MeshError(MaterialReason.MATERIAL_RECALLED)
        return rows[0] if rows else None

    async def use(self, tx: Transaction, material_id: int, version: int, version_id: int) -> None:
        """Put a version that was approved in use.

        Raises:
            MeshError: MATERIAL_RECALLED.
        """
        used = {"of_material": material_id, "used": version, "used_id": version_id}
        if not await tx.execute(_USE, used):
            raise MeshError(MaterialReason.MATERIAL_RECALLED)

    async def recall(self, tx: Transaction, material_id: int, reason: str) -> bool:
        """Take it out of use for ever; False when it was before."""
        return bool(await tx.execute(_RECALL, {"of_material": material_id, "why": reason}))
