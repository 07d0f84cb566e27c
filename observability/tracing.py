"""Spans for OpenTelemetry.

Whether a trace is sampled is decided when it begins; a span of an unsampled
trace is `mesh.telemetry.NullSpan`, and no OpenTelemetry object exists for it. A
sampled span keeps plain values; the exporting thread makes the SDK's object.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext as OtelContext
from opentelemetry.trace import SpanKind as OtelKind
from opentelemetry.trace import Status, StatusCode, TraceFlags

from mesh.errors import MeshError
from mesh.telemetry import NullSpan, Span, SpanKind, TraceContext

MAX_ATTRIBUTES: Final = 32
"""Attributes of one span; further ones are left out."""

MAX_TEXT: Final = 256
"""Characters of an attribute's text; the rest is cut off."""

SCOPE: Final = InstrumentationScope("engine")

_KINDS: Final = {
    SpanKind.INTERNAL: OtelKind.INTERNAL,
    SpanKind.SERVER: OtelKind.SERVER,
    SpanKind.CLIENT: OtelKind.CLIENT,
}
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)


_ALL: Final = b"\xff" * 9
"""Comes after every half of an id."""


class _NewTrace(TraceContext, frozen=True):
    """The context of a trace that has no span yet: its first span has no parent."""


class OtelTracer:
    """Begins spans and hands the sampled ones, when they end, to `ended`.

    Args:
        ended: takes a finished span; called in the task that ended it, so it must not wait.
        ratio: share of new traces that are sampled, 0 to 1, by trace id.
    """

    def __init__(self, ended: Callable[[RecordedSpan], None], *, ratio: float) -> None:
        self._ended = ended
        least = round(ratio * 2**64)  # of the ids' lower halves, the first that is not sampled
        self._sampled_below = least.to_bytes(8, "big") if least < 2**64 else _ALL

    def root(self) -> TraceContext:
        context = TraceContext.root(sampled=False)
        if context.raw[8:16] < self._sampled_below:
            return _NewTrace.of(context.trace_id, context.span_id, sampled=True)
        return context

    def span(self, name: str, kind: SpanKind, parent: TraceContext) -> Span:
        if not parent.sampled:
            return NullSpan(parent)
        return RecordedSpan(name, kind, parent, self._ended)


class RecordedSpan(NullSpan):
    """A span of a sampled trace."""

    __slots__ = (
        "_attributes",
        "_duration_ns",
        "_ended",
        "_failure",
        "_kind",
        "_name",
        "_parent",
        "_started_ns",
        "_ticks",
    )

    def __init__(
        self,
        name: str,
        kind: SpanKind,
        parent: TraceContext,
        ended: Callable[[RecordedSpan], None],
    ) -> None:
        super().__init__(parent.child())
        self._name = name
        self._kind = kind
        self._parent = parent
        self._ended = ended
        self._attributes: dict[str, str | float | bool] = {}
        self._failure = ""

    def set(self, key: str, value: str | float | bool) -> None:
        if len(self._attributes) < MAX_ATTRIBUTES or key in self._attributes:
            self._attributes[key] = value[:MAX_TEXT] if isinstance(value, str) else value

    def fail(self, reason: str) -> None:
        self._failure = self._failure or reason[:MAX_TEXT]

    def __enter__(self) -> Self:
        self._started_ns = time.time_ns()
        self._ticks = time.perf_counter_ns()
        return super().__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._duration_ns = time.perf_counter_ns() - self._ticks
        if error is not None:
            self.fail(_reason(error))
        super().__exit__(kind, error, trace)
        self._ended(self)

    def readable(self, resource: Resource) -> ReadableSpan:
        """The finished span as the SDK's exporters take it."""
        parent = None if isinstance(self._parent, _NewTrace) else _otel(self._parent)
        return ReadableSpan(
            name=self._name,
            context=_otel(self.context),
            parent=parent,
            resource=resource,
            attributes=self._attributes,
            kind=_KINDS[self._kind],
            status=Status(StatusCode.ERROR, self._failure) if self._failure else Status(),
            start_time=self._started_ns,
            end_time=self._started_ns + self._duration_ns,
            instrumentation_scope=SCOPE,
        )


def _otel(context: TraceContext) -> OtelContext:
    return OtelContext(context.trace_id, context.span_id, is_remote=False, trace_flags=_SAMPLED)


def _reason(error: BaseException) -> str:
    """What failed, never with the text of an exception: that may quote data."""
    if isinstance(error, MeshError):
        return error.reason.name
    return "CANCELLED" if isinstance(error, asyncio.CancelledError) else type(error).__name__
