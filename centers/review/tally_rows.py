"""Counts the facts of a version of a scene, in the database, as of one moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from centers.review import tables
from centers.review.effect import Plan
from centers.review.groups import Contacts, Converted, Grants, Group, Opportunities, Tasks
from centers.review.statistics import Arm
from mesh.clock import from_micros
from mesh.storage import Row, Store

_KINDS: Final[Mapping[type[Group], sa.Table]] = {
    Opportunities: tables.opportunity,
    Tasks: tables.task,
    Contacts: tables.contact,
    Grants: tables.benefit_grant,
    Converted: tables.conversion,
}
"""Where the facts of a group lie, in columns named as its fields."""

_ORDER: Final = tuple(_KINDS)
_AS_OF: Final = len(_ORDER)
"""Number of the row that tells when the newest fact was told, in place of a kind's."""

_WIDTH: Final = max(len(fields(kind)) for kind in _KINDS)
_VERSION: Final = sa.bindparam("of_version", type_=sa.BigInteger)

_s, _o, _c = tables.scene.c, tables.opportunity.c, tables.conversion.c

_METRIC: Final = sa.select(_s.success_metric).where(_s.scene_version == _VERSION).scalar_subquery()
_CONVERTED: Final = (_c.scene_version == _VERSION, _c.metric == _METRIC, _c.holds)
_CUSTOMERS: Final = sa.func.count(_c.customer_id.distinct())


def _numbered(number: int, count: Any, keys: Sequence[Any] = ()) -> sa.Select[Any]:
    """Rows of a kind's number, its count and its keys, as wide as those of all others."""
    spare: list[Any] = [sa.literal_column("0") for _ in range(_WIDTH - len(keys))]
    plain = [sa.type_coerce(key, sa.Integer) for key in keys]
    return sa.select(sa.literal_column(str(number)), count, *plain, *spare)


def _alike(kind: type[Group]) -> sa.Select[Any]:
    """The facts of a kind by what makes them alike."""
    table = _KINDS[kind].c
    keys = [table[field.name] for field in fields(kind) if field.name != "count"]
    counted = _CUSTOMERS if kind is Converted else sa.func.count()
    wanted = _CONVERTED if kind is Converted else (table.scene_version == _VERSION,)
    return _numbered(_ORDER.index(kind), counted, keys).where(*wanted).group_by(*keys)


_TALLY: Final = sa.union_all(
    *map(_alike, _ORDER), _numbered(_AS_OF, _s.newest_us).where(_s.scene_version == _VERSION)
)
"""One statement, so that all counts are of the same moment."""

_PLAN: Final = sa.select(_s.success_metric, _s.holdout_bp).where(
    _s.scene_version == _VERSION, _s.last_event != ""
)
_ARMS: Final = (
    sa.select(
        _o.arm,
        sa.func.count(_o.customer_id.distinct()).label("customers"),
        sa.select(_CUSTOMERS)
        .where(*_CONVERTED, _c.arm == _o.arm)
        .scalar_subquery()
        .label("converted"),
    )
    .where(_o.scene_version == _VERSION, _o.arm > 0)
    .group_by(_o.arm)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """All facts of a version in groups, and when the newest of them was told."""

    groups: Sequence[Group]
    as_of: datetime


class Tallies:
    """Counts in threads of their own, so that nobody waits for a scene of many customers."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def plan(self, scene_version: int) -> Plan | None:
        """What a version set out to do; None when no event told of it."""
        rows = await self._store.fetch_all(_PLAN, {"of_version": scene_version})
        if not rows:
            return None
        return Plan(
            scene_version=scene_version,
            metric=rows[0].success_metric,
            holdout_bp=rows[0].holdout_bp,
        )

    async def tally(self, scene_version: int) -> Tally:
        """All facts of a version that events told of."""
        rows = await self._read(_TALLY, scene_version)
        as_of = max(row[1] for row in rows if row[0] == _AS_OF)
        groups = [_group(row) for row in rows if row[0] != _AS_OF]
        return Tally(groups=groups, as_of=from_micros(as_of))

    async def arms(self, scene_version: int) -> Mapping[int, Arm]:
        """Customers of a version and those who converted, by arm; an empty arm has none."""
        rows = await self._read(_ARMS, scene_version)
        return {row.arm: Arm(customers=row.customers, converted=row.converted) for row in rows}

    async def _read(
        self, statement: sa.Select[Any] | sa.CompoundSelect[Any], version: int
    ) -> list[Row]:
        blocks = self._store.scan(statement, {"of_version": version})
        return [row async for block in blocks for row in block]


def _group(row: Row) -> Group:
    """A row of the tally; flags are 0 and 1 there."""
    kind: Callable[..., Group] = _ORDER[row[0]]
    keys = list(row)[2 : len(fields(_ORDER[row[0]])) + 1]
    return kind(*keys, count=row[1])
