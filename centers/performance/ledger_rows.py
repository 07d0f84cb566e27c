"""Results and credits in the database. Entries are inserted and never changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final, Protocol

import sqlalchemy as sa

from centers.performance.domain import Chain, Credit, Fact, Metric, Result, Reversal
from centers.performance.entries import Key, Sheet
from centers.performance.scope import OWN, Reach
from centers.performance.tables import credit, result, tombstone
from engine.mesh.v1 import policy_pb2
from mesh.clock import from_micros, to_micros
from mesh.storage import Row, Statement, Transaction

_r: Final = result.c
_c: Final = credit.c
_of: Final = sa.bindparam

_KNOWN: Final = sa.select(result).where(_r.business_key.in_(_of("keys", expanding=True)))
_GRAVES: Final = sa.select(tombstone).where(
    tombstone.c.business_key.in_(_of("keys", expanding=True))
)
_ENTRIES: Final = (
    sa.select(credit).where(_c.result_id.in_(_of("results", expanding=True))).order_by(_c.credit_id)
)
_NOBODYS: Final = (
    sa.select(result)
    .where(
        _r.customer_id == _of("customer"),
        _r.recorded_us >= _of("since"),
        _r.counts == 1,
        _r.reversed == 0,
        _r.owners == 0,
    )
    .order_by(_r.result_id)
)
_ADD: Final = sa.insert(result)
_CHANGE: Final = (
    sa.update(result)
    .where(_r.result_id == _of("of_result"))
    .values(
        reversed=_of("is_reversed"),
        reverse_date=_of("on_date"),
        reverse_reason=_of("why"),
        owners=_of("owned_by"),
        scene_version=_of("scene"),
        trigger_id=_of("trigger"),
        opportunity_id=_of("opportunity"),
        task_id=_of("task"),
        contact_id=_of("contact"),
    )
)
_CREDIT: Final = sa.insert(credit)
_BURY: Final = sa.insert(tombstone)


class Reader(Protocol):
    """A store or a transaction."""

    async def fetch_all(
        self, statement: Statement, parameters: Mapping[str, Any] | None = None
    ) -> Sequence[Row]:
        """Rows of a short read."""


async def known(reader: Reader, keys: Iterable[Key]) -> Mapping[Key, Result]:
    """Those of the results that were recorded."""
    names = sorted({name for name, _ in keys})
    rows = await reader.fetch_all(_KNOWN, {"keys": names}) if names else ()
    return {found.fact.key: found for found in map(to_result, rows)}


async def graves(reader: Reader, keys: Iterable[Key]) -> Mapping[Key, Reversal]:
    """Reversals of these that came before their result."""
    names = sorted({name for name, _ in keys})
    rows = await reader.fetch_all(_GRAVES, {"keys": names}) if names else ()
    return {found.key: found for found in map(_to_grave, rows)}


async def standing(reader: Reader, result_ids: Collection[int]) -> Mapping[int, Sequence[Credit]]:
    """Entries by result that no other entry undoes; reverse ones left out."""
    entries = await entries_of(reader, result_ids)
    undone = {entry.reversed_credit_id for entry in entries}
    found: dict[int, list[Credit]] = defaultdict(list)
    for entry in entries:
        if not entry.is_reverse and entry.credit_id not in undone:
            found[entry.result_id].append(entry)
    return found


async def entries_of(reader: Reader, result_ids: Collection[int]) -> Sequence[Credit]:
    """All entries of these results."""
    if not result_ids:
        return ()
    rows = await reader.fetch_all(_ENTRIES, {"results": sorted(result_ids)})
    return [to_credit(row) for row in rows]


async def nobodys(reader: Reader, customer_id: int, since: datetime) -> Sequence[Result]:
    """The customer's results since then that count, stand, and belong to nobody."""
    place = {"customer": customer_id, "since": to_micros(since)}
    return [to_result(row) for row in await reader.fetch_all(_NOBODYS, place)]


async def write(tx: Transaction, sheet: Sheet) -> None:
    """Write what the sheet says."""
    for statement, rows in (
        (_ADD, [_result_values(one) for one in sheet.added.values()]),
        (_CHANGE, [_change_values(one) for one in sheet.changed.values()]),
        (_CREDIT, [_credit_values(one) for one in sheet.credits]),
        (_BURY, [_grave_values(one) for one in sheet.buried.values()]),
    ):
        if rows:
            await tx.execute(statement, rows)


def to_result(row: Row) -> Result:
    """A row as a result."""
    fact = Fact(
        metric=Metric(row.metric),
        business_key=row.business_key,
        customer_id=row.customer_id,
        amount_fen=row.amount_fen,
        money_class=row.money_class,
        occurred_time=from_micros(row.occurred_us),
        business_date=row.business_date,
    )
    return Result(
        result_id=row.result_id,
        fact=fact,
        counts=bool(row.counts),
        reversed=bool(row.reversed),
        reverse_date=row.reverse_date,
        reverse_reason=row.reverse_reason,
        owners=row.owners,
        chain=_to_chain(row),
        recorded_time=from_micros(row.recorded_us),
    )


def to_credit(row: Row) -> Credit:
    """A row as an entry."""
    return Credit(
        credit_id=row.credit_id,
        result_id=row.result_id,
        metric=Metric(row.metric),
        business_key=row.business_key,
        customer_id=row.customer_id,
        owner_id=row.owner_id,
        branch_id=row.branch_id,
        amount_fen=row.amount_fen,
        share_bp=row.share_bp,
        chain=_to_chain(row),
        rule_version=row.rule_version,
        business_date=row.business_date,
        reversed_credit_id=row.reversed_credit_id or 0,
        create_time=from_micros(row.create_us),
    )


def _to_chain(row: Row) -> Chain:
    return Chain(
        scene_version=row.scene_version,
        trigger_id=row.trigger_id,
        opportunity_id=row.opportunity_id,
        task_id=row.task_id,
        contact_id=row.contact_id,
    )


def _to_grave(row: Row) -> Reversal:
    return Reversal(
        metric=Metric(row.metric),
        business_key=row.business_key,
        business_date=row.business_date,
        reason=row.reason,
    )


def _result_values(made: Result) -> Mapping[str, Any]:
    fact = made.fact
    return {
        "result_id": made.result_id,
        "metric": int(fact.metric),
        "business_key": fact.business_key,
        "customer_id": fact.customer_id,
        "amount_fen": fact.amount_fen,
        "money_class": fact.money_class,
        "occurred_us": to_micros(fact.occurred_time),
        "business_date": fact.business_date,
        "counts": int(made.counts),
        "reversed": int(made.reversed),
        "reverse_date": made.reverse_date,
        "reverse_reason": made.reverse_reason,
        "owners": made.owners,
        "recorded_us": to_micros(made.recorded_time),
        **asdict(made.chain),
    }


def _change_values(changed: Result) -> Mapping[str, Any]:
    chain = changed.chain
    return {
        "of_result": changed.result_id,
        "is_reversed": int(changed.reversed),
        "on_date": changed.reverse_date,
        "why": changed.reverse_reason,
        "owned_by": changed.owners,
        "scene": chain.scene_version,
        "trigger": chain.trigger_id,
        "opportunity": chain.opportunity_id,
        "task": chain.task_id,
        "contact": chain.contact_id,
    }


def _credit_values(made: Credit) -> Mapping[str, Any]:
    return {
        "credit_id": made.credit_id,
        "result_id": made.result_id,
        "metric": int(made.metric),
        "business_key": made.business_key,
        "customer_id": made.customer_id,
        "owner_id": made.owner_id,
        "branch_id": made.branch_id,
        "amount_fen": made.amount_fen,
        "sign": -1 if made.is_reverse else 1,
        "share_bp": made.share_bp,
        "rule_version": made.rule_version,
        "business_date": made.business_date,
        "reversed_credit_id": made.reversed_credit_id or None,
        "create_us": to_micros(made.create_time),
        **asdict(made.chain),
    }


def _grave_values(buried: Reversal) -> Mapping[str, Any]:
    return {
        "business_key": buried.business_key,
        "metric": int(buried.metric),
        "business_date": buried.business_date,
        "reason": buried.reason,
    }


def within(reach: Reach) -> sa.ColumnElement[bool]:
    """`Reach.holds`, for the database."""
    if reach.is_all:
        return sa.true()
    if reach.scope == policy_pb2.SCOPE_BRANCH and reach.branch_id:
        return sa.and_(_c.branch_id == reach.branch_id, _c.owner_id != 0)
    if reach.scope in OWN and reach.staff_id:
        return _c.owner_id == reach.staff_id
    return sa.false()
