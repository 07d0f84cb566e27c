"""Which results count for which opportunities: kept as pairs when either of them is told.

A result counts for an opportunity of its customer when it happened after the
opportunity's event and at most 30 days later. Both may be told in either order.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa

from centers.review.tables import conversion, opportunity, result
from mesh.storage import Transaction

WINDOW: Final = timedelta(days=30)
"""How long after its event an opportunity may still lead to a result."""

_WINDOW_US: Final = WINDOW // timedelta(microseconds=1)
_o, _r, _c = opportunity.c, result.c, conversion.c


def _pair(condition: sa.ColumnElement[bool]) -> sa.Insert:
    """Adds the pairs that are not there yet."""
    known = sa.exists().where(_c.opportunity_id == _o.opportunity_id, _c.result_id == _r.result_id)
    pairs: sa.Select[Any] = sa.select(
        _o.opportunity_id,
        _r.result_id,
        _o.scene_version,
        _r.metric,
        _o.arm,
        _o.customer_id,
        _r.holds,
    ).where(
        condition,
        _o.customer_id == _r.customer_id,
        _o.arm > 0,
        _r.occurred_us > _o.occurred_us,
        _r.occurred_us <= _o.occurred_us + _WINDOW_US,
        ~known,
    )
    return sa.insert(conversion).from_select(
        [column.name for column in pairs.selected_columns], pairs
    )


_PAIR_OPPORTUNITY: Final = _pair(_o.opportunity_id == sa.bindparam("of_opportunity"))
_PAIR_RESULT: Final = _pair(_r.result_id == sa.bindparam("of_result"))
_FOLLOW_RESULT: Final = (
    sa.update(conversion)
    .where(_c.result_id == sa.bindparam("of_result"))
    .values(
        holds=sa.select(_r.holds).where(_r.result_id == sa.bindparam("of_result")).scalar_subquery()
    )
)
_VERSIONS: Final = (
    sa.select(_c.scene_version).where(_c.result_id == sa.bindparam("of_result")).distinct()
)


async def pair_opportunity(tx: Transaction, opportunity_id: int) -> None:
    """Find the results that count for an opportunity that was just told of."""
    await tx.execute(_PAIR_OPPORTUNITY, {"of_opportunity": opportunity_id})


async def pair_result(tx: Transaction, result_id: int) -> list[int]:
    """Find the opportunities that a result counts for, or no longer; versions of their scenes."""
    of_result = {"of_result": result_id}
    await tx.execute(_PAIR_RESULT, of_result)
    await tx.execute(_FOLLOW_RESULT, of_result)
    return [row.scene_version for row in await tx.fetch_all(_VERSIONS, of_result)]
