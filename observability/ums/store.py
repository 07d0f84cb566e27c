"""The UMS's database: a row for each span."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from mesh.clock import Clock
from mesh.storage import Row, Store
from observability.ums.service import SpanRecord, TraceHead

BLOCK: Final = 500
"""Spans deleted, and traces summed up, by one statement."""

SCANNED: Final = 1_000
MAX_SCANS: Final = 20
"""Blocks of entries looked through for distinct traces: with them a list may be short."""

_ID: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")

_span = sa.Table(
    "span",
    sa.MetaData(),
    sa.Column("id", _ID, primary_key=True),
    sa.Column("trace_id", sa.String(32), nullable=False, index=True),
    sa.Column("span_id", sa.String(16), nullable=False),
    sa.Column("parent_span_id", sa.String(16), nullable=False),
    sa.Column("service", sa.String(64), nullable=False),
    sa.Column("name", sa.String(256), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("start_ns", sa.BigInteger, nullable=False),
    sa.Column("duration_ns", sa.BigInteger, nullable=False),
    sa.Column("failed", sa.Boolean, nullable=False),
    sa.Column("entry", sa.Boolean, nullable=False),
    sa.Column("attributes", sa.Text, nullable=False),
    sa.Column("received_s", sa.BigInteger, nullable=False),
    sa.Index("ix_span_entry_start_ns", "entry", "start_ns", "trace_id"),
    info={"ordered": "only to look through the newest first"},
)

_IN_TRACES = _span.c.trace_id.in_(sa.bindparam("traces", expanding=True))
_INSERT = sa.insert(_span)
_TRACE = (
    sa.select(_span)
    .where(_span.c.trace_id == sa.bindparam("trace"))
    .order_by(_span.c.start_ns, _span.c.id)
    .limit(sa.bindparam("most"))
)
_ENTRIES = (
    sa.select(_span.c.trace_id)
    .where(_span.c.entry == sa.true())
    .order_by(_span.c.start_ns.desc())
    .limit(SCANNED)
    .offset(sa.bindparam("skipped"))
)
_SUMS = (
    sa.select(
        _span.c.trace_id,
        sa.func.min(_span.c.start_ns).label("start_ns"),
        sa.func.max(_span.c.start_ns + _span.c.duration_ns).label("end_ns"),
        sa.func.count(sa.distinct(_span.c.span_id)).label("spans"),
        sa.func.max(_span.c.failed).label("failed"),
    )
    .where(_IN_TRACES)
    .group_by(_span.c.trace_id)
)
_FIRSTS = sa.select(
    _span.c.trace_id, _span.c.service, _span.c.name, _span.c.parent_span_id, _span.c.start_ns
).where(_IN_TRACES, _span.c.entry == sa.true())
# Each on its own: SQLite scans the table for both in one SELECT.
_FIRST = sa.select(sa.func.min(_span.c.id)).scalar_subquery()
_LAST = sa.select(sa.func.max(_span.c.id)).scalar_subquery()
_ENDS = sa.select(_FIRST.label("first"), _LAST.label("last"))
_YOUNGEST_OLD = (
    sa.select(_span.c.id)
    .where(_span.c.id.between(sa.bindparam("first"), sa.bindparam("last")))
    .where(_span.c.received_s < sa.bindparam("before_s"))
    .order_by(_span.c.id.desc())
    .limit(1)
)
_DELETE = sa.delete(_span).where(_span.c.id <= sa.bindparam("last"))


class SpanTable:
    """Spans in a store (`SpanStore`)."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def add(self, spans: Sequence[SpanRecord]) -> None:
        if not spans:
            return
        received_s = int(self._clock.now().timestamp())
        async with self._store.transaction() as tx:
            await tx.execute(_INSERT, [_values(span, received_s) for span in spans])

    async def trace(self, trace_id: str, *, limit: int) -> Sequence[SpanRecord]:
        rows = await self._store.fetch_all(_TRACE, {"trace": trace_id, "most": limit})
        return [_record(row) for row in rows]

    async def heads(self, *, limit: int) -> Sequence[TraceHead]:
        traces = await self._newest_traces(limit)
        heads: list[TraceHead] = []
        for start in range(0, len(traces), BLOCK):
            parameters = {"traces": traces[start : start + BLOCK]}
            firsts = _by_trace(await self._store.fetch_all(_FIRSTS, parameters))
            sums = await self._store.fetch_all(_SUMS, parameters)
            heads += [_head(row, firsts[row.trace_id]) for row in sums if row.trace_id in firsts]
        return sorted(heads, key=lambda head: head.start_ns, reverse=True)

    async def purge(self, *, before: datetime, keep: int) -> int:
        gone = 0
        while last := await self._next_to_go(int(before.timestamp()), keep):
            async with self._store.transaction() as tx:
                gone += await tx.execute(_DELETE, {"last": last})
        return gone

    async def _next_to_go(self, before_s: int, keep: int) -> int:
        """The last id of the next block to delete, 0 for none; ids rise as spans arrive."""
        ends = (await self._store.fetch_all(_ENDS))[0]
        if ends.first is None:
            return 0
        block = {"first": ends.first, "last": min(ends.first + BLOCK - 1, ends.last)}
        old = await self._store.fetch_all(_YOUNGEST_OLD, {**block, "before_s": before_s})
        last: int = max(min(ends.last - keep, block["last"]), old[0].id if old else 0)
        return last if last >= ends.first else 0

    async def _newest_traces(self, limit: int) -> list[str]:
        found: dict[str, None] = {}
        for scan in range(MAX_SCANS):
            rows = await self._store.fetch_all(_ENTRIES, {"skipped": scan * SCANNED})
            found.update(dict.fromkeys(row.trace_id for row in rows))
            if len(found) >= limit or len(rows) < SCANNED:
                break
        return list(found)[:limit]


def _values(span: SpanRecord, received_s: int) -> dict[str, object]:
    return {
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_span_id": span.parent_span_id,
        "service": span.service,
        "name": span.name,
        "kind": span.kind,
        "start_ns": span.start_ns,
        "duration_ns": span.duration_ns,
        "failed": span.failed,
        "entry": span.is_entry,
        "attributes": json.dumps(dict(span.attributes), ensure_ascii=False),
        "received_s": received_s,
    }


def _record(row: Row) -> SpanRecord:
    return SpanRecord(
        trace_id=row.trace_id,
        span_id=row.span_id,
        parent_span_id=row.parent_span_id,
        service=row.service,
        name=row.name,
        kind=row.kind,
        start_ns=row.start_ns,
        duration_ns=row.duration_ns,
        failed=bool(row.failed),
        attributes=json.loads(row.attributes),
    )


def _by_trace(entries: Iterable[Row]) -> dict[str, Row]:
    """The root of each trace, else its earliest entry."""
    firsts: dict[str, Row] = {}
    for row in sorted(entries, key=lambda row: (row.parent_span_id != "", row.start_ns)):
        firsts.setdefault(row.trace_id, row)
    return firsts


def _head(sums: Row, first: Row) -> TraceHead:
    return TraceHead(
        trace_id=sums.trace_id,
        name=first.name,
        service=first.service,
        start_ns=sums.start_ns,
        duration_ns=sums.end_ns - sums.start_ns,
        spans=sums.spans,
        failed=bool(sums.failed),
    )
