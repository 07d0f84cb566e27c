"""Where each version of a scene stands, in the database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from centers.action.run import Run
from centers.action.tables import scene_run
from engine.action.v1 import action_pb2
from mesh.clock import from_micros, to_micros
from mesh.storage import Row, Store, Transaction

_c: Final = scene_run.c

_ADD: Final = sa.insert(scene_run)
_REPLACE: Final = sa.update(scene_run).where(_c.scene_version == sa.bindparam("id"))
_ONE: Final = sa.select(scene_run).where(_c.scene_version == sa.bindparam("id"))
_AMONG: Final = sa.select(scene_run).where(
    _c.scene_version.in_(sa.bindparam("ids", expanding=True))
)
_OF_SCENE: Final = (
    sa.select(scene_run).where(_c.scene_id == sa.bindparam("of_scene")).order_by(_c.version)
)
_PRESENT: Final = (
    sa.select(scene_run)
    .where(_c.scene_id == sa.bindparam("of_scene"), _c.launch_no > 0)
    .order_by(_c.launch_no.desc())
    .limit(1)
)


class RunRows:
    """Holds where versions stand; what changes them takes the transaction of the change."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, tx: Transaction, made: Run) -> None:
        """Add a new version."""
        await tx.execute(_ADD, _values(made))

    async def replace(self, tx: Transaction, changed: Run) -> None:
        """Store a changed version."""
        await tx.execute(_REPLACE, _values(changed) | {"id": changed.scene_version})

    async def of_scene(self, tx: Transaction, scene_id: int) -> Sequence[Run]:
        """All versions of a scene, oldest first; empty when there is no such scene."""
        return [_to_run(row) for row in await tx.fetch_all(_OF_SCENE, {"of_scene": scene_id})]

    async def present(self, tx: Transaction, scene_id: int) -> Run | None:
        """The version that was launched last, as the transaction sees it."""
        return _first(await tx.fetch_all(_PRESENT, {"of_scene": scene_id}))

    async def committed(self, scene_id: int) -> Sequence[Run]:
        """All versions of a scene, oldest first, as committed."""
        rows = await self._store.fetch_all(_OF_SCENE, {"of_scene": scene_id})
        return [_to_run(row) for row in rows]

    async def launched(self, scene_id: int) -> Run | None:
        """The version that was launched last, as committed."""
        return _first(await self._store.fetch_all(_PRESENT, {"of_scene": scene_id}))

    async def get(self, scene_version: int) -> Run | None:
        """The version of this id, as committed."""
        return _first(await self._store.fetch_all(_ONE, {"id": scene_version}))

    async def among(self, scene_versions: Collection[int]) -> Mapping[int, Run]:
        """The versions of these ids, as committed."""
        rows = await self._store.fetch_all(_AMONG, {"ids": list(scene_versions)})
        return {row.scene_version: _to_run(row) for row in rows}


def _first(rows: Sequence[Row]) -> Run | None:
    return _to_run(rows[0]) if rows else None


def _values(made: Run) -> dict[str, Any]:
    simulation, turned = made.simulation, made.turn_time
    return {
        "scene_version": made.scene_version,
        "scene_id": made.scene_id,
        "version": made.version,
        "status": made.status,
        "launch_no": made.launch_no,
        "edits": made.edits,
        "simulation": None if simulation is None else simulation.SerializeToString(),
        "turn_us": 0 if turned is None else to_micros(turned),
    }


def _to_run(row: Row) -> Run:
    said = row.simulation
    return Run(
        scene_id=row.scene_id,
        scene_version=row.scene_version,
        version=row.version,
        status=row.status,
        launch_no=row.launch_no,
        edits=row.edits,
        simulation=None if said is None else action_pb2.Simulation.FromString(said),
        turn_time=from_micros(row.turn_us) if row.turn_us else None,
    )
