"""Spans in the database: what comes back, and what goes with time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from mesh.clock import ManualClock
from mesh.storage import SQLiteStore, migrations
from mesh.telemetry import NullTracer
from observability.ums.app import BLUEPRINT
from observability.ums.service import SpanRecord
from observability.ums.store import BLOCK, SCANNED, SpanTable

SPAN = SpanRecord(
    trace_id="a" * 32,
    span_id="1" * 16,
    parent_span_id="",
    service="gateway",
    name="GET /v1/customers",
    kind="SERVER",
    start_ns=1_000,
    duration_ns=500,
    failed=False,
    attributes={"http.status": "200", "城市": "上海"},
)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def table(var: Path, clock: ManualClock) -> AsyncIterator[SpanTable]:
    assert BLUEPRINT.migrations is not None
    migrations.upgrade(var / "ums.db", BLUEPRINT.migrations)
    async with SQLiteStore(var / "ums.db", tracer=NullTracer()) as store:
        yield SpanTable(store, clock)


def trace(number: int, *, start_ns: int) -> SpanRecord:
    return replace(SPAN, trace_id=f"{number:032x}", start_ns=start_ns)


async def test_spans_come_back_as_they_went_in_by_start(table: SpanTable) -> None:
    """Only those of the trace asked for."""
    child = replace(
        SPAN, span_id="2" * 16, parent_span_id="1" * 16, start_ns=1_100, failed=True, kind="CLIENT"
    )
    await table.add([child, SPAN, trace(7, start_ns=1)])
    assert await table.trace(SPAN.trace_id, limit=10) == [SPAN, child]
    assert await table.trace(SPAN.trace_id, limit=1) == [SPAN]
    assert await table.trace("f" * 32, limit=10) == []


async def test_no_spans_are_no_transaction(table: SpanTable) -> None:
    """An empty export is well."""
    await table.add([])
    assert await table.heads(limit=10) == []


async def test_a_head_sums_a_trace_up(table: SpanTable) -> None:
    """Name and service of the root, the whole's length, and whether any part failed."""
    inner = replace(
        SPAN,
        span_id="2" * 16,
        parent_span_id="1" * 16,
        service="customer",
        name="inner",
        start_ns=900,  # another machine's clock
        duration_ns=2_000,
        failed=True,
    )
    await table.add([inner, SPAN, SPAN])
    (head,) = await table.heads(limit=10)
    assert (head.name, head.service) == (SPAN.name, SPAN.service)
    assert (head.start_ns, head.duration_ns) == (900, 2_000)
    assert (head.spans, head.failed) == (2, True)


async def test_a_trace_whose_root_is_elsewhere_is_named_by_its_earliest_entry(
    table: SpanTable,
) -> None:
    """A caller outside the platform has the root; the trace is listed all the same."""
    later = replace(SPAN, span_id="3" * 16, parent_span_id="2" * 16, service="ark", start_ns=1_200)
    entry = replace(SPAN, parent_span_id="9" * 16)
    await table.add([later, entry])
    (head,) = await table.heads(limit=10)
    assert head.service == entry.service


async def test_heads_are_the_newest_first(table: SpanTable) -> None:
    """As many as asked for."""
    await table.add([trace(n, start_ns=n) for n in (3, 1, 2)])
    assert [head.start_ns for head in await table.heads(limit=2)] == [3, 2]


async def test_many_entries_of_one_trace_do_not_hide_the_others(table: SpanTable) -> None:
    """The list looks on until it has enough distinct traces."""
    busy = [replace(SPAN, span_id=f"{n:016x}", start_ns=10_000 + n) for n in range(SCANNED + 10)]
    await table.add([*busy, trace(7, start_ns=1)])
    heads = await table.heads(limit=2)
    assert [head.spans for head in heads] == [SCANNED + 10, 1]


async def test_more_heads_than_one_statement_sums(table: SpanTable) -> None:
    """A long list is put together from several."""
    await table.add([trace(n, start_ns=n) for n in range(BLOCK + 5)])
    heads = await table.heads(limit=BLOCK + 5)
    assert [head.start_ns for head in heads] == list(reversed(range(BLOCK + 5)))


async def test_spans_leave_by_the_age_of_their_arrival(
    table: SpanTable, clock: ManualClock
) -> None:
    """In several blocks where there are many, and whatever a sender's clock says."""
    await table.add([trace(n, start_ns=10**18) for n in range(BLOCK + 5)])
    clock.advance(10)
    await table.add([trace(BLOCK + 5, start_ns=0)])
    assert await table.purge(before=clock.now(), keep=1_000_000) == BLOCK + 5
    assert [head.start_ns for head in await table.heads(limit=9)] == [0]


async def test_spans_leave_by_number_the_first_to_come_first(
    table: SpanTable, clock: ManualClock
) -> None:
    """What a flood leaves behind is bounded."""
    await table.add([trace(n, start_ns=n) for n in range(BLOCK + 10)])
    assert await table.purge(before=clock.now(), keep=4) == BLOCK + 6
    assert await table.purge(before=clock.now(), keep=4) == 0
    newest = list(reversed(range(BLOCK + 6, BLOCK + 10)))
    assert [head.start_ns for head in await table.heads(limit=9)] == newest


async def test_purging_an_empty_table_does_nothing(table: SpanTable, clock: ManualClock) -> None:
    """The first purge runs before the first span came; all may leave, too."""
    assert await table.purge(before=clock.now(), keep=1) == 0
    await table.add([SPAN])
    clock.advance(1)
    assert await table.purge(before=clock.now(), keep=1) == 1
    assert await table.purge(before=clock.now(), keep=1) == 0
