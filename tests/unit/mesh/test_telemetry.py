"""Trace context and meters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.telemetry import (
    BUCKETS_S,
    Meters,
    NullTracer,
    SpanKind,
    TraceContext,
    current_trace,
)


@given(
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.booleans(),
)
def test_a_trace_context_survives_its_header(trace_id: int, span_id: int, sampled: bool) -> None:
    """W3C traceparent, there and back."""
    context = TraceContext(trace_id, span_id, sampled)
    assert TraceContext.parse(context.header) == context


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        "00-xyz-0-01",
        "00-" + "0" * 32 + "-" + "1" * 16 + "-01",
        "00-" + "1" * 32 + "-" + "0" * 16 + "-01",
        "ff-" + "1" * 32 + "-" + "1" * 16 + "-01",
        "00-" + "g" * 32 + "-" + "1" * 16 + "-01",
    ],
)
def test_a_header_that_is_no_trace_context_is_ignored(header: str) -> None:
    """A broken header begins no trace and raises nothing."""
    assert TraceContext.parse(header) is None


def test_a_null_span_is_current_within_its_block() -> None:
    """Even an unsampled request has a trace id for its errors and logs."""
    tracer = NullTracer()
    root = tracer.root()
    with tracer.span("work", SpanKind.SERVER, root):
        assert current_trace() == root
    assert current_trace() is None


def test_calls_are_counted_by_method_and_code_into_buckets() -> None:
    """Count, seconds and histogram agree."""
    meters = Meters()
    for seconds in (0.0001, 0.0005, 0.3, 60.0):
        meters.call("server", "/a.B/C", "OK").add(seconds)
    stats = meters.call("server", "/a.B/C", "OK")
    assert stats.count == 4
    assert stats.seconds == pytest.approx(60.3006)
    assert sum(stats.buckets) == 4
    assert stats.buckets[0] == 2, "a value at a bound belongs to the bucket that it bounds"
    assert stats.buckets[len(BUCKETS_S)] == 1
    assert meters.call("server", "/a.B/C", "NOT_FOUND").count == 0
