"""The rows of the chain: which columns of each come from whose events."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from centers.review import tables
from centers.review.fact_rows import NOBODY, Facts
from mesh.storage import Transaction

PROGRESS: Final = ("tasked", "attempted", "reached", "interested")
"""How far an opportunity came, in this order."""

NO_PROGRESS: Final = dict.fromkeys(PROGRESS, False)

SCENES: Final = Facts(tables.scene, first=("newest_us",), latest=("holdout_bp", "success_metric"))
OPPORTUNITIES: Final = Facts(
    tables.opportunity,
    latest=("scene_version", "customer_id", "arm", "suppress_reason", "occurred_us"),
    ever=PROGRESS,
)
TASKS: Final = Facts(tables.task, first=("owner_kind",), latest=("scene_version", "state"))
CONTACTS: Final = Facts(
    tables.contact,
    first=("channel", "decision", "reason"),
    latest=("scene_version",),
    ever=("sent", "delivered", "reached"),
)
GRANTS: Final = Facts(tables.benefit_grant, latest=("scene_version", "state"), ever=("granted",))
RESULTS: Final = Facts(tables.result, latest=("metric", "customer_id", "occurred_us", "holds"))

_UNTOLD: Final[dict[str, Any]] = {
    "customer_id": 0,
    "arm": 0,
    "suppress_reason": 0,
    "occurred_us": 0,
    **NO_PROGRESS,
}
"""An opportunity that its own event has not told of yet."""

_scene: Final = tables.scene.c
_TOLD: Final = sa.bindparam("told", type_=sa.BigInteger)
_TOUCH: Final = (
    sa.update(tables.scene)
    .where(_scene.scene_version == sa.bindparam("of_version"))
    .values(newest_us=sa.case((_scene.newest_us > _TOLD, _scene.newest_us), else_=_TOLD))
)


async def mark(tx: Transaction, opportunity_id: int, scene_version: int, **flags: bool) -> None:
    """Note what became of an opportunity; what is not given stays."""
    said = {**_UNTOLD, "scene_version": scene_version, **flags}
    await OPPORTUNITIES.keep(tx, opportunity_id, NOBODY, said)


async def touch(tx: Transaction, scene_version: int, told_us: int) -> None:
    """Note when a fact of a version of a scene was told."""
    if await tx.execute(_TOUCH, {"of_version": scene_version, "told": told_us}):
        return
    untold = {"holdout_bp": 0, "success_metric": "", "newest_us": told_us}
    await SCENES.keep(tx, scene_version, NOBODY, untold)
