"""Spans as OpenTelemetry gets them."""

from __future__ import annotations

import asyncio

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind as OtelKind
from opentelemetry.trace import StatusCode

from mesh.errors import MeshError, MeshReason
from mesh.telemetry import NullSpan, SpanKind, TraceContext, current_trace
from observability.tracing import MAX_ATTRIBUTES, MAX_TEXT, OtelTracer, RecordedSpan

RESOURCE = Resource({"service.name": "customer"})


class Recorded:
    """A tracer and what it recorded."""

    def __init__(self, ratio: float = 1.0) -> None:
        self._ended: list[RecordedSpan] = []
        self.tracer = OtelTracer(self._ended.append, ratio=ratio)

    @property
    def spans(self) -> list[ReadableSpan]:
        return [span.readable(RESOURCE) for span in self._ended]


def test_a_span_below_another_is_its_child_in_the_same_trace() -> None:
    """Ids lead from the innermost step to the root."""
    recorded = Recorded()
    root = recorded.tracer.root()
    with (
        recorded.tracer.span("outer", SpanKind.SERVER, root) as outer,
        recorded.tracer.span("inner", SpanKind.CLIENT, outer.context),
    ):
        pass
    inner_span, outer_span = recorded.spans
    assert outer_span.parent is None
    assert inner_span.parent is not None
    assert outer_span.context is not None
    assert inner_span.context is not None
    assert inner_span.parent.span_id == outer_span.context.span_id == outer.context.span_id
    assert inner_span.context.trace_id == outer_span.context.trace_id == root.trace_id
    assert (outer_span.kind, inner_span.kind) == (OtelKind.SERVER, OtelKind.CLIENT)
    assert outer_span.resource is RESOURCE


def test_a_span_continues_the_trace_of_a_header() -> None:
    """The caller's span is the parent, wherever it ran."""
    recorded = Recorded(ratio=0.0)
    parent = TraceContext.parse(TraceContext.root(sampled=True).header)
    assert parent is not None
    with recorded.tracer.span("served", SpanKind.SERVER, parent):
        pass
    (span,) = recorded.spans
    assert span.parent is not None
    assert (span.parent.trace_id, span.parent.span_id) == (parent.trace_id, parent.span_id)


def test_entering_makes_a_span_current_and_leaving_restores() -> None:
    """Logs and calls further down find the innermost span."""
    recorded = Recorded()
    with recorded.tracer.span("outer", SpanKind.INTERNAL, recorded.tracer.root()) as outer:
        with recorded.tracer.span("inner", SpanKind.INTERNAL, outer.context) as inner:
            assert current_trace() == inner.context
        assert current_trace() == outer.context
    assert current_trace() is None


def test_a_span_of_an_unsampled_trace_is_free() -> None:
    """Nothing is recorded, and the context goes on as it came."""
    recorded = Recorded()
    parent = TraceContext.root(sampled=False)
    with recorded.tracer.span("served", SpanKind.SERVER, parent) as span:
        span.set("key", "value")
        assert current_trace() is parent
    assert type(span) is NullSpan
    assert recorded.spans == []


@pytest.mark.parametrize(("ratio", "sampled"), [(0.0, {False}), (1.0, {True})])
def test_the_ends_of_the_ratio_are_exact(ratio: float, sampled: set[bool]) -> None:
    """None means none and all means all."""
    tracer = Recorded(ratio).tracer
    assert {tracer.root().sampled for _ in range(200)} == sampled


def test_sampling_follows_the_trace_id() -> None:
    """Any process that decides by the same ratio decides the same."""
    tracer = Recorded(0.5).tracer
    for _ in range(200):
        root = tracer.root()
        assert root.sampled == (root.trace_id & (2**64 - 1) < 2**63)


def test_duration_and_attributes_are_kept() -> None:
    """What the step told of itself is exported."""
    recorded = Recorded()
    with recorded.tracer.span("work", SpanKind.INTERNAL, recorded.tracer.root()) as span:
        span.set("rows", 3)
        span.set("table", "x" * (MAX_TEXT + 1))
    (exported,) = recorded.spans
    assert exported.attributes == {"rows": 3, "table": "x" * MAX_TEXT}
    assert exported.start_time is not None
    assert exported.end_time is not None
    assert exported.end_time >= exported.start_time
    assert exported.status.status_code is StatusCode.UNSET


def test_attributes_are_bounded_in_number() -> None:
    """A loop that sets attributes cannot fill the memory."""
    recorded = Recorded()
    with recorded.tracer.span("work", SpanKind.INTERNAL, recorded.tracer.root()) as span:
        for number in range(MAX_ATTRIBUTES + 5):
            span.set(f"key{number}", number)
        span.set("key0", "changed")
    (exported,) = recorded.spans
    assert exported.attributes is not None
    assert len(exported.attributes) == MAX_ATTRIBUTES
    assert exported.attributes["key0"] == "changed"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MeshError(MeshReason.OVERLOADED, "too much for 13800138000"), "OVERLOADED"),
        (ValueError("13800138000"), "ValueError"),
        (asyncio.CancelledError(), "CANCELLED"),
    ],
)
def test_an_exception_fails_the_span_without_its_text(error: BaseException, reason: str) -> None:
    """The text of an exception may quote data, so only its kind is kept."""
    recorded = Recorded()
    with (
        pytest.raises(type(error)),
        recorded.tracer.span("work", SpanKind.INTERNAL, recorded.tracer.root()),
    ):
        raise error
    (exported,) = recorded.spans
    assert exported.status.status_code is StatusCode.ERROR
    assert exported.status.description == reason


def test_the_first_reason_of_a_failure_stays() -> None:
    """What the step says of itself is closer to the cause than what passes it later."""
    recorded = Recorded()
    with recorded.tracer.span("work", SpanKind.INTERNAL, recorded.tracer.root()) as span:
        span.fail("NOT_FOUND")
        span.fail("INTERNAL")
    assert recorded.spans[0].status.description == "NOT_FOUND"
