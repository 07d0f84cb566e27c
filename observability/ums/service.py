"""What the UMS knows of traces, and for how long it keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from mesh.background import Background
from mesh.clock import Clock
from mesh.errors import MeshError
from mesh.log import get_logger
from mesh.telemetry import Meters
from observability.ums.errors import UmsReason

DEFAULT_PAGE: Final = 50
MAX_TRACE_SPANS: Final = 5_000
"""Spans of one trace that are answered; the earliest ones."""

KEEP_FOR: Final = timedelta(hours=24)
KEEP_SPANS: Final = 500_000
PURGE_EVERY_S: Final = 60.0

SERVER: Final = "SERVER"

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanRecord:
    """One span. Ids are hexadecimal, `parent_span_id` is empty for a root; times in ns."""

    trace_id: str
    span_id: str
    parent_span_id: str
    service: str
    name: str
    kind: str
    start_ns: int
    duration_ns: int
    failed: bool
    attributes: Mapping[str, str]

    @property
    def is_entry(self) -> bool:
        """Whether the work came into a process here: every trace has such a span."""
        return not self.parent_span_id or self.kind == SERVER


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceHead:
    """A trace in one line; `name` and `service` are its root's, or its earliest entry's."""

    trace_id: str
    name: str
    service: str
    start_ns: int
    duration_ns: int
    spans: int
    failed: bool


class SpanStore(Protocol):
    """Holds spans."""

    async def add(self, spans: Sequence[SpanRecord]) -> None:
        """Keep them all or none."""

    async def trace(self, trace_id: str, *, limit: int) -> Sequence[SpanRecord]:
        """At most `limit` spans of a trace, by start."""

    async def heads(self, *, limit: int) -> Sequence[TraceHead]:
        """At most `limit` traces, newest first."""

    async def purge(self, *, before: datetime, keep: int) -> int:
        """Drop spans that arrived before, and all but the last `keep`; how many went."""


class Traces:
    """Answers for traces."""

    def __init__(self, store: SpanStore) -> None:
        self._store = store

    async def get(self, trace_id: str) -> Sequence[SpanRecord]:
        """The spans of a trace by start, each once.

        Raises:
            MeshError: TRACE_NOT_FOUND.
        """
        spans = await self._store.trace(trace_id, limit=MAX_TRACE_SPANS)
        if not spans:
            raise MeshError(UmsReason.TRACE_NOT_FOUND)
        return list({span.span_id: span for span in spans}.values())

    async def recent(self, page_size: int) -> Sequence[TraceHead]:
        """The newest traces; 0 means 50 of them."""
        return await self._store.heads(limit=page_size or DEFAULT_PAGE)


class Retention(Background):
    """Drops old spans in the background for as long as it is entered."""

    def __init__(self, store: SpanStore, clock: Clock, meters: Meters) -> None:
        self._store = store
        self._clock = clock
        self._failures = meters.counter("ums.purge_failures")

    async def purge(self) -> int:
        """Drop what is too old or too much; how many spans went."""
        return await self._store.purge(before=self._clock.now() - KEEP_FOR, keep=KEEP_SPANS)

    async def _run(self) -> None:
        while True:
            try:
                await self.purge()
            except Exception as error:  # noqa: BLE001 - a job's outermost boundary
                self._failures.add()
                _log.error("span_purge_failed", error=type(error).__name__)
            await self._clock.sleep(PURGE_EVERY_S)
