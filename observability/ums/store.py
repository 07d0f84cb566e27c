"""The UMS's database: a row for each span."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

import sqlalchemy as sa

from mesh.storage import Row, Store
from observability.ums.service import SpanRecord, TraceHead

BLOCK: Final = 500
"""Rows of one deleting statement, and traces of one summing statement."""

SCANNED: Final = 1_000
MAX_SCANS: Final = 20
"""Blocks of entries looked through for distinct traces: with them a list may be short."""

_ID: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")

_span = sa.Table(
    "span",
    sa.MetaData(),
    sa.Column("id", _ID, primary_key=True),
    sa.Column("trace_id", sa.String(32), nullable=False),
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
_OLD = sa.select(_span.c.id).where(_span.c.start_ns < sa.bindparam("before_ns")).limit(BLOCK)
_LAST = sa.select(sa.func.max(_span.c.id).label("id"))
_SURPLUS = sa.select(_span.c.id).where(_span.c.id <= sa.bindparam("last")).limit(BLOCK)
_DELETE = sa.delete(_span).where(_span.c.id.in_(sa.bindparam("ids", expanding=True)))


class SpanTable:
    """Spans in a store (`SpanStore`)."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, spans: Sequence[SpanRecord]) -> None:
        if not spans:
            return
        async with self._store.transaction() as tx:
            await tx.execute(_INSERT, [_values(span) for span in spans])

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

    async def purge(self, *, before_ns: int, keep: int) -> int:
        last = (await self._store.fetch_all(_LAST))[0].id or 0
        old = await self._delete(_OLD, {"before_ns": before_ns})
        return old + await self._delete(_SURPLUS, {"last": last - keep})

    async def _newest_traces(self, limit: int) -> list[str]:
        found: dict[str, None] = {}
        for scan in range(MAX_SCANS):
            rows = await self._store.fetch_all(_ENTRIES, {"skipped": scan * SCANNED})
            found.update(dict.fromkeys(row.trace_id for row in rows))
            if len(found) >= limit or len(rows) < SCANNED:
                break
        return list(found)[:limit]

    async def _delete(self, chosen: sa.Select[Any], parameters: dict[str, int]) -> int:
        """Delete in blocks, each a transaction of its own, so that spans still get in."""
        gone = 0
        while rows := await self._store.fetch_all(chosen, parameters):
            async with self._store.transaction() as tx:
                gone += await tx.execute(_DELETE, {"ids": [row.id for row in rows]})
        return gone


def _values(span: SpanRecord) -> dict[str, object]:
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
