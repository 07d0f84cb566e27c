"""The decision centre's database: backtests, and the customers that they fired on."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from centers.decision.tables import backtest, backtest_customer
from engine.decision.v1 import decision_pb2 as pb
from mesh.storage import Row, Store, Transaction

PACKED: Final = 5_000
"""Customers in one row."""

_TOKEN_BYTES: Final = 8

_b: Final = backtest.c
_c: Final = backtest_customer.c
_ADD: Final = sa.insert(backtest)
_ADD_CUSTOMERS: Final = sa.insert(backtest_customer)
_HAS: Final = (
    sa.select(_b.backtest_id)
    .where(
        _b.version_id == sa.bindparam("of_version"),
        _b.revision >= sa.bindparam("from_revision"),
        _b.create_us >= sa.bindparam("since"),
    )
    .limit(1)
)
_ONE: Final = sa.select(_b.backtest_id, _b.model_id, _b.scene_id, _b.days, _b.create_us).where(
    _b.backtest_id == sa.bindparam("id")
)
_CUSTOMERS: Final = (
    sa.select(_c.customer_ids)
    .where(_c.backtest_id == sa.bindparam("id"), _c.last_customer_id > sa.bindparam("after"))
    .order_by(_c.last_customer_id)
    .limit(sa.bindparam("count"))
)
_OLD: Final = sa.select(_b.backtest_id).where(_b.create_us < sa.bindparam("before"))
_FORGET: Final = sa.delete(backtest).where(_b.create_us < sa.bindparam("before"))
_FORGET_CUSTOMERS: Final = sa.delete(backtest_customer).where(_c.backtest_id.in_(_OLD))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """What a backtest was made of: a version, as it was at a revision.

    `customer_ids` are those that it fired on, each once, rising; `body` is what it found.
    """

    backtest_id: int
    model_id: int
    version_id: int
    revision: int
    scene_id: int
    days: int
    create_us: int
    customer_ids: Sequence[int]
    body: pb.Backtest


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a list of a backtest's customers says beside them."""

    backtest_id: int
    model_id: int
    scene_id: int
    days: int
    create_us: int


class BacktestRows:
    """Holds backtests."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, tx: Transaction, tested: Tested, *, forget_before_us: int) -> None:
        """Keep a backtest, and forget those of all models that are older."""
        place = {"before": forget_before_us}
        await tx.execute(_FORGET_CUSTOMERS, place)
        await tx.execute(_FORGET, place)
        await tx.execute(_ADD, _values(tested))
        await tx.execute(_ADD_CUSTOMERS, _packed(tested))

    async def has(self, tx: Transaction, version_id: int, revision: int, since_us: int) -> bool:
        """Whether the version was tested at this revision or later, since a time."""
        place = {"of_version": version_id, "from_revision": revision, "since": since_us}
        return bool(await tx.fetch_all(_HAS, place))

    async def head(self, backtest_id: int) -> Head | None:
        """What is known of a backtest beside its customers."""
        rows = await self._store.fetch_all(_ONE, {"id": backtest_id})
        return _head(rows[0]) if rows else None

    async def customers(self, backtest_id: int, *, after: int, limit: int) -> Sequence[int]:
        """Customers that it fired on, rising, beginning after a token."""
        count = limit // PACKED + 2  # the first row may be nearly used up
        place: dict[str, Any] = {"id": backtest_id, "after": after, "count": count}
        found: list[int] = []
        for row in await self._store.fetch_all(_CUSTOMERS, place):
            found += (token for token in _unpacked(row.customer_ids) if token > after)
        return found[:limit]


def _values(tested: Tested) -> dict[str, Any]:
    return {
        "backtest_id": tested.backtest_id,
        "model_id": tested.model_id,
        "version_id": tested.version_id,
        "revision": tested.revision,
        "scene_id": tested.scene_id,
        "days": tested.days,
        "create_us": tested.create_us,
        "body": tested.body.SerializeToString(deterministic=True),
    }


def _packed(tested: Tested) -> Sequence[dict[str, Any]]:
    rows = []
    for start in range(0, len(tested.customer_ids), PACKED):
        tokens = tested.customer_ids[start : start + PACKED]
        packed = struct.pack(f">{len(tokens)}q", *tokens)
        row = {"backtest_id": tested.backtest_id, "last_customer_id": tokens[-1]}
        rows.append({**row, "customer_ids": packed})
    return rows


def _unpacked(packed: bytes) -> Sequence[int]:
    return struct.unpack(f">{len(packed) // _TOKEN_BYTES}q", packed)


def _head(row: Row) -> Head:
    return Head(
        backtest_id=row.backtest_id,
        model_id=row.model_id,
        scene_id=row.scene_id,
        days=row.days,
        create_us=row.create_us,
    )
