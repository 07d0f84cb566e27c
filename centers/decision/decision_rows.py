"""The decision centre's database: what was decided on events, and how often."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from centers.decision.blocks import blocks
from centers.decision.domain import Judgement, Verdict, Wait
from centers.decision.tables import decision, model_count
from centers.decision.tally import Tally
from mesh.storage import Store, Transaction

_d: Final = decision.c
_n: Final = model_count.c
_ADD: Final = sa.insert(decision)
_CHANGE: Final = (
    sa.update(decision)
    .where(
        _d.model_id == sa.bindparam("model"),
        _d.business_key == sa.bindparam("key"),
        _d.model_version == sa.bindparam("of_version"),
    )
    .values(verdict=sa.bindparam("new_verdict"), trigger_id=sa.bindparam("trigger"))
)
_ON_EVENTS: Final = (
    sa.select(decision)
    .where(
        _d.model_id == sa.bindparam("model"),
        _d.business_key.in_(sa.bindparam("keys", expanding=True)),
    )
    .order_by(_d.model_version)
)
_COUNT_OF: Final = sa.and_(
    _n.model_id == sa.bindparam("model"), _n.model_version == sa.bindparam("of_version")
)
_COUNTS: Final = sa.select(_n.name, _n.total).where(_COUNT_OF)
_COUNT: Final = (
    sa.update(model_count)
    .where(_COUNT_OF, _n.name == sa.bindparam("of_name"))
    .values(total=_n.total + sa.bindparam("change"))
)
_FIRST_COUNT: Final = sa.insert(model_count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A decision as it is kept. `trigger_id` is 0 when it did not fire."""

    business_key: str
    model_version: int
    verdict: Verdict
    earlier: int
    trigger_id: int


class Decisions:
    """Holds decisions, and counts of them for each version."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(
        self,
        tx: Transaction,
        model_id: int,
        version: int,
        judgements: Iterable[Judgement],
        triggers: Mapping[str, int],
    ) -> None:
        """Keep decisions; `triggers` are ids by business key."""
        rows = [
            {
                "model_id": model_id,
                "business_key": each.fact.business_key,
                "model_version": version,
                "verdict": each.verdict.value,
                "earlier": each.earlier,
                "trigger_id": triggers.get(each.fact.business_key, 0),
            }
            for each in judgements
        ]
        await tx.execute(_ADD, rows)

    async def change(self, tx: Transaction, waits: Iterable[tuple[Wait, Verdict, int]]) -> None:
        """Say how waits ended: the verdict, and the id of the trigger or 0."""
        rows = [
            {
                "model": wait.model_id,
                "key": wait.business_key,
                "of_version": wait.model_version,
                "new_verdict": verdict.value,
                "trigger": trigger_id,
            }
            for wait, verdict, trigger_id in waits
        ]
        await tx.execute(_CHANGE, rows)

    async def on_events(self, model_id: int, keys: Sequence[str]) -> Mapping[str, Decided]:
        """A model's decisions by business key; in whichever version it decided."""
        found: dict[str, Decided] = {}
        for block in blocks(keys):
            place: dict[str, Any] = {"model": model_id, "keys": block}
            for row in await self._store.fetch_all(_ON_EVENTS, place):
                found[row.business_key] = Decided(
                    business_key=row.business_key,
                    model_version=row.model_version,
                    verdict=Verdict(row.verdict),
                    earlier=row.earlier,
                    trigger_id=row.trigger_id,
                )
        return found

    async def count(self, tx: Transaction, model_id: int, version: int, tally: Tally) -> None:
        """Add to the counts of a version."""
        for name, change in tally.items():
            place = {"model": model_id, "of_version": version, "of_name": name}
            if not await tx.execute(_COUNT, {**place, "change": change}):
                row = {"model_id": model_id, "model_version": version}
                await tx.execute(_FIRST_COUNT, {**row, "name": name, "total": change})

    async def counts(self, model_id: int, version: int) -> Mapping[str, int]:
        """The counts of a version by name."""
        place = {"model": model_id, "of_version": version}
        return {row.name: row.total for row in await self._store.fetch_all(_COUNTS, place)}
