"""The stock of activities, moved by guarded updates alone.

A count changes where it lies and only where the guard holds, so that no reader's
old number can be written back. The table's own checks refuse what would not balance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import sqlalchemy as sa

from centers.benefits.domain import MAX_WAITING, NO_STOCK, State, Stock, Terms
from centers.benefits.errors import BenefitsReason
from centers.benefits.tables import stock
from mesh.clock import to_micros
from mesh.errors import MeshError
from mesh.storage import Row, Store, Transaction

_s: Final = stock.c
_of: Final[sa.BindParameter[int]] = sa.bindparam("activity")
_many: Final[sa.BindParameter[int]] = sa.bindparam("many")
_here: Final = sa.update(stock).where(_s.activity_id == _of)

_OPEN: Final = sa.insert(stock)
_RENEW: Final = _here.values(
    limit_per_customer=sa.bindparam("limit"),
    start_us=sa.bindparam("start"),
    end_us=sa.bindparam("end"),
)
_SKU: Final = sa.select(_s.sku).where(_s.activity_id == _of)
_ONE: Final = sa.select(stock).where(_s.activity_id == _of)
_SOME: Final = sa.select(stock).where(
    _s.activity_id.in_(sa.bindparam("activities", expanding=True))
)

_TAKE: Final = _here.where(_s.available > 0).values(
    available=_s.available - 1, granted=_s.granted + 1
)
_WAIT: Final = _here.where(_s.available == 0, _s.wait_listed < MAX_WAITING).values(
    wait_listed=_s.wait_listed + 1, arrivals=_s.arrivals + 1
)
_waiting: Final[sa.BindParameter[int]] = sa.bindparam("waiting")
_ISSUE: Final = _here.values(
    issued=_s.issued + _many,
    available=_s.available + _many - _waiting,
    granted=_s.granted + _waiting,
    wait_listed=_s.wait_listed - _waiting,
)
_RETURN: Final = _here.values(available=_s.available + 1, granted=_s.granted - 1)
_PASS_ON: Final = _here.where(_s.wait_listed > 0).values(wait_listed=_s.wait_listed - 1)
_LEAVE: Final = _here.values(wait_listed=_s.wait_listed - 1)
_USE: Final = _here.values(granted=_s.granted - 1, redeemed=_s.redeemed + 1)


async def open_stock(tx: Transaction, activity_id: int, sku: str, terms: Terms) -> None:
    """Put the terms in force; the first time with an empty stock."""
    columns = _term_columns(terms)
    if await tx.execute(_RENEW, {"activity": activity_id, **columns}):
        return
    row = {
        "activity_id": activity_id,
        "sku": sku,
        "limit_per_customer": columns["limit"],
        "start_us": columns["start"],
        "end_us": columns["end"],
    }
    await tx.execute(_OPEN, row)


async def refuse_other_sku(tx: Transaction, activity_id: int, sku: str) -> None:
    """Refuse to count another thing than before.

    Raises:
        MeshError: SKU_FIXED.
    """
    rows = await tx.fetch_all(_SKU, {"activity": activity_id})
    if rows and rows[0].sku != sku:
        raise MeshError(BenefitsReason.SKU_FIXED, metadata={"sku": rows[0].sku})


async def take_one(tx: Transaction, activity_id: int, *, in_stock: bool = True) -> State:
    """Take one out of stock, or a place on the wait list; what it became.

    `in_stock` is what the transaction has read of it; without it nothing is tried in vain.

    Raises:
        MeshError: WAIT_LIST_FULL.
    """
    place = {"activity": activity_id}
    if in_stock and await tx.execute(_TAKE, place):
        return State.GRANTED
    if await tx.execute(_WAIT, place):
        return State.WAIT_LISTED
    raise MeshError(BenefitsReason.WAIT_LIST_FULL)


async def issue(tx: Transaction, activity_id: int, quantity: int) -> int:
    """Put more in, and give to those who wait what they wait for; how many those are.

    Raises:
        MeshError: ACTIVITY_NOT_OPEN.
    """
    promoted = min(quantity, (await stock_of(tx, activity_id)).wait_listed)
    counts = {"activity": activity_id, "many": quantity, "waiting": promoted}
    if not await tx.execute(_ISSUE, counts):
        raise MeshError(BenefitsReason.ACTIVITY_NOT_OPEN)
    return promoted


async def give_back(tx: Transaction, activity_id: int) -> int:
    """A grant returned what it held: to who waits, else to stock; to how many who wait."""
    place = {"activity": activity_id}
    if await tx.execute(_PASS_ON, place):
        return 1
    await tx.execute(_RETURN, place)
    return 0


async def stock_of(tx: Transaction, activity_id: int) -> Stock:
    """The stock as the transaction sees it; nothing when it was never approved."""
    rows = await tx.fetch_all(_ONE, {"activity": activity_id})
    return _stock(rows[0]) if rows else NO_STOCK


async def leave(tx: Transaction, activity_id: int) -> None:
    """One waits no longer, and got nothing."""
    await tx.execute(_LEAVE, {"activity": activity_id})


async def use(tx: Transaction, activity_id: int) -> None:
    """A grant was used."""
    await tx.execute(_USE, {"activity": activity_id})


class Stocks:
    """Reads stock outside transactions."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def of(self, activity_ids: Sequence[int]) -> Mapping[int, Stock]:
        """Stock by activity; those never approved have none and are left out."""
        if not activity_ids:
            return {}
        rows = await self._store.fetch_all(_SOME, {"activities": list(activity_ids)})
        return {row.activity_id: _stock(row) for row in rows}


def _term_columns(terms: Terms) -> Mapping[str, int]:
    return {
        "limit": terms.limit_per_customer,
        "start": to_micros(terms.start) if terms.start else 0,
        "end": to_micros(terms.end) if terms.end else 0,
    }


def _stock(row: Row) -> Stock:
    return Stock(
        issued=row.issued,
        available=row.available,
        granted=row.granted,
        redeemed=row.redeemed,
        wait_listed=row.wait_listed,
    )
