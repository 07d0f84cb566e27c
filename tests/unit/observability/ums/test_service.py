"""Answers about traces, and how long spans are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from mesh.clock import ManualClock, SystemClock
from mesh.errors import MeshError
from mesh.telemetry import Meters
from observability.ums.errors import UmsReason
from observability.ums.service import (
    DEFAULT_PAGE,
    KEEP_FOR,
    KEEP_SPANS,
    Retention,
    SpanRecord,
    TraceHead,
    Traces,
)

SPAN = SpanRecord(
    trace_id="a" * 32,
    span_id="1" * 16,
    parent_span_id="",
    service="gateway",
    name="step",
    kind="SERVER",
    start_ns=1,
    duration_ns=1,
    failed=False,
    attributes={},
)


@dataclass
class MemorySpans:
    """Spans in a list; remembers what it was asked."""

    spans: list[SpanRecord] = field(default_factory=list)
    purges: list[tuple[datetime, int]] = field(default_factory=list)
    limits: list[int] = field(default_factory=list)
    fails: int = 0
    purged: asyncio.Event = field(default_factory=asyncio.Event)

    async def add(self, spans: Sequence[SpanRecord]) -> None:
        self.spans += spans

    async def trace(self, trace_id: str, *, limit: int) -> Sequence[SpanRecord]:
        return [span for span in self.spans if span.trace_id == trace_id][:limit]

    async def heads(self, *, limit: int) -> Sequence[TraceHead]:
        self.limits.append(limit)
        return []

    async def purge(self, *, before: datetime, keep: int) -> int:
        self.purges.append((before, keep))
        if len(self.purges) <= self.fails:
            raise OSError("disk")
        self.purged.set()
        return 0


async def test_a_trace_that_is_not_kept_is_not_found() -> None:
    """The reason tells why that may be."""
    with pytest.raises(MeshError) as caught:
        await Traces(MemorySpans()).get("b" * 32)
    assert caught.value.reason is UmsReason.TRACE_NOT_FOUND


async def test_a_span_that_arrived_twice_is_answered_once() -> None:
    """A sender may repeat an export whose answer it did not get."""
    store = MemorySpans([SPAN, SPAN])
    assert await Traces(store).get(SPAN.trace_id) == [SPAN]


async def test_a_list_of_no_stated_size_has_the_default_one() -> None:
    """As the contract says."""
    store = MemorySpans()
    await Traces(store).recent(0)
    await Traces(store).recent(7)
    assert store.limits == [DEFAULT_PAGE, 7]


async def test_spans_are_kept_for_a_day_and_up_to_half_a_million() -> None:
    """Both bounds hold at every purge."""
    store, clock = MemorySpans(), ManualClock()
    await Retention(store, clock, Meters()).purge()
    assert store.purges == [(clock.now() - KEEP_FOR, KEEP_SPANS)]
    assert timedelta(hours=24) == KEEP_FOR
    assert KEEP_SPANS == 500_000


async def test_retention_purges_by_itself_while_it_is_entered() -> None:
    """Nobody has to ask."""
    store = MemorySpans()
    async with Retention(store, SystemClock(), Meters()):
        await store.purged.wait()
    assert len(store.purges) == 1


async def test_a_failed_purge_is_counted_and_tried_again() -> None:
    """A full disk for a minute does not end retention for good."""
    store, meters = MemorySpans(fails=2), Meters()
    async with Retention(store, ManualClock(), meters):
        await store.purged.wait()
    assert meters.counter("ums.purge_failures").value == 2
