"""Trace context and meters."""

from __future__ import annotations

from contextvars import Context

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
    """W3C traceparent, there and back; lanes carry the same in 25 bytes."""
    context = TraceContext.of(trace_id, span_id, sampled=sampled)
    assert TraceContext.parse(context.header) == context
    assert TraceContext.from_bytes(context.raw) == context
    assert context.raw.hex() == context.header.replace("-", "")[2:]


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
        "00-" + "1_1" * 10 + "11-" + "1" * 16 + "-01",
        "00-" + " " * 2 + "1" * 30 + "-" + "1" * 16 + "-01",
        "00-" + "1" * 16 + "-" + "1" * 32 + "-01",
        "00-" + "1" * 32 + "-" + "1" * 16 + "-012",
        "-0-" + "1" * 32 + "-" + "1" * 16 + "-01",
    ],
)
def test_a_header_that_is_no_trace_context_is_ignored(header: str) -> None:
    """A broken header begins no trace and raises nothing."""
    assert TraceContext.parse(header) is None


def test_a_later_versions_header_is_read_as_far_as_it_is_known() -> None:
    """What follows the flags is for others; space around the header is none of it."""
    header = f" 01-{1:032x}-{2:016x}-03-more "
    assert TraceContext.parse(header) == TraceContext.of(1, 2, sampled=True)


@pytest.mark.parametrize("raw", [b"", b"\1" * 24, b"\1" * 26, bytes(16) + b"\1" * 9])
def test_bytes_that_are_no_trace_context_are_ignored(raw: bytes) -> None:
    """Wrong lengths and ids of zero begin no trace."""
    assert TraceContext.from_bytes(raw) is None


@given(st.binary(max_size=30))
def test_bytes_of_any_kind_raise_nothing(raw: bytes) -> None:
    """What a peer sends there is read or left."""
    read = TraceContext.from_bytes(raw)
    assert read is None or read.raw[:24] == raw[:24]


def test_a_null_span_is_current_within_its_block() -> None:
    """Even an unsampled request has a trace id for its errors and logs."""
    tracer = NullTracer()
    root = tracer.root()
    with tracer.span("work", SpanKind.SERVER, root):
        assert current_trace() == root
    assert current_trace() is None


def test_a_span_may_end_in_another_context() -> None:
    """As that of a stream does which nobody reads to its end."""
    tracer = NullTracer()
    span = tracer.span("work", SpanKind.SERVER, tracer.root())
    Context().run(span.__enter__)
    span.__exit__(None, None, None)
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
