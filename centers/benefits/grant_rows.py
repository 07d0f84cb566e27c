"""Grants in the database. What a claim needs is one read and one insert."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from centers.benefits.domain import Claim, Counter, Grant, State, Terms
from centers.benefits.errors import BenefitsReason
from centers.benefits.tables import grant, stock
from engine.mesh.v1.context_pb2 import ChainIds
from mesh.clock import from_micros, to_micros
from mesh.errors import MeshError
from mesh.paging import Page, PageRequest
from mesh.storage import Row, Store, Transaction

PROMOTED_AT_ONCE: Final = 500
"""Grants read and moved by one statement while stock goes to the wait list."""

_g: Final = grant.c
_s: Final = stock.c
_of: Final = sa.bindparam
_waits: Final = _g.place > sa.literal_column("0")  # as the partial index says it

_COUNTER: Final = (
    sa.select(_s.limit_per_customer, _s.start_us, _s.end_us, _s.available, grant)
    .select_from(
        sa.outerjoin(
            stock,
            grant,
            sa.and_(_g.activity_id == _s.activity_id, _g.customer_id == _of("customer")),
        )
    )
    .where(_s.activity_id == _of("activity"))
)
_ADD: Final = sa.insert(grant)
_ADD_WAITING: Final = sa.insert(grant).values(
    place=sa.select(_s.arrivals).where(_s.activity_id == _of("activity")).scalar_subquery()
)
_ONE: Final = sa.select(grant).where(_g.grant_id == _of("grant"))
_WAITING: Final = (
    sa.select(grant)
    .where(_g.activity_id == _of("activity"), _waits)
    .order_by(_g.place)
    .limit(_of("many"))
)
_PROMOTE: Final = (
    sa.update(grant)
    .where(_g.activity_id == _of("activity"), _waits, _g.place <= _of("last"))
    .values(state=int(State.GRANTED), place=0, update_us=_of("now"))
)
_MOVE: Final = (
    sa.update(grant)
    .where(_g.grant_id == _of("grant"), _g.state == _of("before"))
    .values(state=_of("after"), place=0, update_us=_of("now"), revoke_reason=_of("why"))
)
_OF_CUSTOMER: Final = (
    sa.select(grant)
    .where(_g.customer_id == _of("customer"), _g.grant_id < _of("below"))
    .order_by(_g.grant_id.desc())
    .limit(_of("many"))
)
_ABOVE_ALL: Final = 2**63 - 1


async def counter_of(tx: Transaction, activity_id: int, customer_id: int) -> Counter:
    """What a claim of this customer finds.

    Raises:
        MeshError: ACTIVITY_NOT_OPEN.
    """
    rows = await tx.fetch_all(_COUNTER, {"activity": activity_id, "customer": customer_id})
    if not rows:
        raise MeshError(BenefitsReason.ACTIVITY_NOT_OPEN)
    return Counter(
        terms=_terms(rows[0]),
        in_stock=rows[0].available > 0,
        grants=[to_grant(row) for row in rows if row.grant_id is not None],
    )


async def add(tx: Transaction, made: Grant) -> None:
    """Keep a new grant; who waits gets the place that `stock_rows.take_one` counted."""
    values = _values(made)
    if made.state is State.WAIT_LISTED:
        await tx.execute(_ADD_WAITING, values | {"activity": made.claim.activity_id})
    else:
        await tx.execute(_ADD, values | {"place": 0})


async def grant_of(tx: Transaction, grant_id: int) -> Grant:
    """The grant as the transaction sees it.

    Raises:
        MeshError: GRANT_NOT_FOUND.
    """
    return _found(await tx.fetch_all(_ONE, {"grant": grant_id}))


async def move(tx: Transaction, before: Grant, after: Grant, *, why: str = "") -> None:
    """Write the new state; `before` is what the same transaction read."""
    values = {
        "grant": before.grant_id,
        "before": int(before.state),
        "after": int(after.state),
        "now": to_micros(after.update_time),
        "why": why,
    }
    moved = await tx.execute(_MOVE, values)
    assert moved == 1, "nothing else writes within the transaction"


async def promote(tx: Transaction, activity_id: int, count: int, now_us: int) -> Sequence[Grant]:
    """Grant to those who wait longest: `count` at most, and `PROMOTED_AT_ONCE`."""
    place = {"activity": activity_id, "many": min(count, PROMOTED_AT_ONCE)}
    rows = await tx.fetch_all(_WAITING, place)
    if not rows:
        return ()
    await tx.execute(_PROMOTE, {"activity": activity_id, "last": rows[-1].place, "now": now_us})
    return [to_grant(row, state=State.GRANTED, update_us=now_us) for row in rows]


class Grants:
    """Reads grants outside transactions."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, grant_id: int) -> Grant:
        """One grant.

        Raises:
            MeshError: GRANT_NOT_FOUND.
        """
        return _found(await self._store.fetch_all(_ONE, {"grant": grant_id}))

    async def customer(self, grant_id: int) -> int:
        """The customer of a grant; 0 when there is no such grant."""
        rows = await self._store.fetch_all(_ONE, {"grant": grant_id})
        return rows[0].customer_id if rows else 0

    async def page(self, customer_id: int, request: PageRequest) -> Page[Grant]:
        """A customer's grants, newest first.

        Raises:
            MeshError: PAGE_TOKEN_INVALID.
        """
        (below,) = request.after_numbers(1) or (_ABOVE_ALL,)
        place = {"customer": customer_id, "below": below, "many": request.limit}
        rows = await self._store.fetch_all(_OF_CUSTOMER, place)
        return request.page([to_grant(row) for row in rows], lambda one: (one.grant_id,))


def to_grant(row: Row, *, state: State | None = None, update_us: int = 0) -> Grant:
    """A row as a grant, in another state when one is given."""
    chain = ChainIds(
        scene_version=row.scene_version,
        trigger_id=row.trigger_id,
        opportunity_id=row.opportunity_id,
        task_id=row.task_id,
        contact_id=row.contact_id,
    )
    claim = Claim(
        activity_id=row.activity_id,
        customer_id=row.customer_id,
        reason_key=row.reason_key,
        chain=chain,
        actor=row.actor,
    )
    return Grant(
        grant_id=row.grant_id,
        claim=claim,
        state=state or State(row.state),
        create_time=from_micros(row.create_us),
        update_time=from_micros(update_us or row.update_us),
    )


def _found(rows: Sequence[Row]) -> Grant:
    if not rows:
        raise MeshError(BenefitsReason.GRANT_NOT_FOUND)
    return to_grant(rows[0])


def _terms(row: Row) -> Terms:
    return Terms(
        limit_per_customer=row.limit_per_customer,
        start=from_micros(row.start_us) if row.start_us else None,
        end=from_micros(row.end_us) if row.end_us else None,
    )


def _values(made: Grant) -> dict[str, Any]:
    claim, chain = made.claim, made.claim.chain
    return {
        "grant_id": made.grant_id,
        "activity_id": claim.activity_id,
        "customer_id": claim.customer_id,
        "reason_key": claim.reason_key,
        "state": int(made.state),
        "scene_version": chain.scene_version,
        "trigger_id": chain.trigger_id,
        "opportunity_id": chain.opportunity_id,
        "task_id": chain.task_id,
        "contact_id": chain.contact_id,
        "actor": claim.actor,
        "create_us": to_micros(made.create_time),
        "update_us": to_micros(made.update_time),
    }
