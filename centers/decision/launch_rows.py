"""The decision centre's database: versions that were launched, and whether they are live."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from centers.decision.domain import Status
from centers.decision.rule import Rule, rule_of
from centers.decision.tables import launch
from engine.decision.v1 import decision_pb2 as pb
from mesh.storage import Row, Store, Transaction

MAX_READY: Final = 256
"""Versions kept ready to be evaluated."""

_c: Final = launch.c
_ADD: Final = sa.insert(launch)
_LIVE: Final = sa.select(launch).where(_c.status == Status.LIVE.value)
_LIVE_TYPES: Final = (
    sa.select(_c.event_type, sa.func.count().label("models"))
    .where(_c.status == Status.LIVE.value)
    .group_by(_c.event_type)
)
_OF_MODEL: Final = (
    sa.select(launch).where(_c.model_id == sa.bindparam("model")).order_by(_c.version.desc())
)
_LAST: Final = _OF_MODEL.limit(1)
_STATUS: Final = sa.select(_c.model_id, _c.version, _c.status).where(
    _c.model_id.in_(sa.bindparam("models", expanding=True))
)
_MOVE: Final = (
    sa.update(launch)
    .where(
        _c.model_id == sa.bindparam("model"),
        _c.status.in_(sa.bindparam("before", expanding=True)),
    )
    .values(status=sa.bindparam("after"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """A version of a model that was launched."""

    model_id: int
    version: int
    status: Status
    rule: Rule


class Launches:
    """Holds launched versions with their content."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ready: OrderedDict[bytes, Rule] = OrderedDict()

    async def live(self, tx: Transaction) -> Sequence[Launched]:
        """The versions that are live as the transaction sees it."""
        return [self._launched(row) for row in await tx.fetch_all(_LIVE)]

    async def models_by_type(self) -> Mapping[str, int]:
        """How many models are live for each type of events that has any."""
        return {row.event_type: row.models for row in await self._store.fetch_all(_LIVE_TYPES)}

    async def of_model(self, model_id: int) -> Sequence[Launched]:
        """All launched versions of a model, the newest first."""
        rows = await self._store.fetch_all(_OF_MODEL, {"model": model_id})
        return [self._launched(row) for row in rows]

    async def last(self, tx: Transaction, model_id: int) -> Launched | None:
        """The version of a model that was launched last."""
        rows = await tx.fetch_all(_LAST, {"model": model_id})
        return self._launched(rows[0]) if rows else None

    async def statuses(self, model_ids: Collection[int]) -> Mapping[tuple[int, int], Status]:
        """Status by model and version of all launched versions of some models."""
        rows = await self._store.fetch_all(_STATUS, {"models": list(model_ids)})
        return {(row.model_id, row.version): Status(row.status) for row in rows}

    async def start(
        self, tx: Transaction, model_id: int, version: int, model: pb.Model, now_us: int
    ) -> None:
        """Make a version live and retire the one that was launched before it."""
        await self.move(tx, model_id, (Status.LIVE, Status.PAUSED), Status.RETIRED)
        row = {
            "model_id": model_id,
            "version": version,
            "status": Status.LIVE.value,
            "event_type": model.event_type,
            "body": model.SerializeToString(deterministic=True),
            "launch_us": now_us,
        }
        await tx.execute(_ADD, row)

    async def move(
        self, tx: Transaction, model_id: int, before: Collection[Status], after: Status
    ) -> bool:
        """Give the version that has one of these statuses another one; False when none has."""
        place = {
            "model": model_id,
            "before": [status.value for status in before],
            "after": after.value,
        }
        return bool(await tx.execute(_MOVE, place))

    def _launched(self, row: Row) -> Launched:
        return Launched(
            model_id=row.model_id,
            version=row.version,
            status=Status(row.status),
            rule=self._rule(row.body),
        )

    def _rule(self, body: bytes) -> Rule:
        """By content: a version whose launch was undone may be launched with another one."""
        rule = self._ready.get(body)
        if rule is None:
            rule = self._ready[body] = rule_of(pb.Model.FromString(body))
            if len(self._ready) > MAX_READY:
                self._ready.popitem(last=False)
        return rule
