"""OTLP as senders of any kind write it."""

from __future__ import annotations

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2

from observability.ums.decoding import (
    MAX_ATTRIBUTES,
    MAX_NAME,
    MAX_NS,
    MAX_VALUE,
    decode_metrics,
    decode_spans,
)
from observability.ums.points import Distribution, Kind, Value
from observability.ums.service import SpanRecord

CUMULATIVE = metrics_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE
DELTA = metrics_pb2.AGGREGATION_TEMPORALITY_DELTA
RESOURCE = Resource(attributes=[KeyValue(key="service.name", value=AnyValue(string_value="ark"))])
NUMBER = metrics_pb2.NumberDataPoint(as_int=3)


def span(**fields: object) -> trace_pb2.Span:
    defaults: dict[str, object] = {"trace_id": b"t" * 16, "span_id": b"s" * 8}
    return trace_pb2.Span(**{**defaults, **fields})  # type: ignore[arg-type]


def spans_of(*spans: trace_pb2.Span) -> list[SpanRecord]:
    scope = trace_pb2.ScopeSpans(spans=spans)
    group = trace_pb2.ResourceSpans(resource=RESOURCE, scope_spans=[scope])
    return decode_spans(ExportTraceServiceRequest(resource_spans=[group]))


def points_of(metric: metrics_pb2.Metric) -> tuple[dict[tuple[str, Kind], Value], int]:
    scope = metrics_pb2.ScopeMetrics(metrics=[metric])
    group = metrics_pb2.ResourceMetrics(resource=RESOURCE, scope_metrics=[scope])
    ((_, points, unknown),) = decode_metrics(ExportMetricsServiceRequest(resource_metrics=[group]))
    return {(series.name, series.kind): value for series, value in points.items()}, unknown


def test_a_span_is_read_with_its_service_and_times() -> None:
    """Ids become hexadecimal, the end becomes a duration."""
    (record,) = spans_of(
        span(
            parent_span_id=b"p" * 8,
            name="work",
            kind=trace_pb2.Span.SPAN_KIND_SERVER,
            start_time_unix_nano=5,
            end_time_unix_nano=12,
        )
    )
    assert record == SpanRecord(
        trace_id="74" * 16,
        span_id="73" * 8,
        parent_span_id="70" * 8,
        service="ark",
        name="work",
        kind="SERVER",
        start_ns=5,
        duration_ns=7,
        failed=False,
        attributes={},
    )


def test_a_failed_span_says_why() -> None:
    """The status message becomes an attribute."""
    error = trace_pb2.Status.STATUS_CODE_ERROR
    (record,) = spans_of(span(status=trace_pb2.Status(code=error, message="NOT_FOUND")))
    assert record.failed
    assert record.attributes == {"error": "NOT_FOUND"}


def test_spans_without_proper_ids_are_left_out() -> None:
    """There is nothing to find them by."""
    assert spans_of(span(trace_id=b""), span(span_id=b"short")) == []


def test_sizes_and_times_are_cut_to_what_is_kept() -> None:
    """A sender cannot make a row larger than the table allows, nor time run backwards."""
    long = KeyValue(key="k" * 999, value=AnyValue(string_value="v" * 9_999))
    many = [KeyValue(key=str(n), value=AnyValue(int_value=n)) for n in range(999)]
    (record,) = spans_of(
        span(
            name="n" * 999,
            attributes=[long, *many],
            start_time_unix_nano=2**64 - 1,
            end_time_unix_nano=1,
        )
    )
    assert len(record.name) == MAX_NAME
    assert len(record.attributes) == MAX_ATTRIBUTES
    assert len(record.attributes["k" * MAX_NAME]) == MAX_VALUE
    assert (record.start_ns, record.duration_ns) == (MAX_NS, 0)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (AnyValue(bool_value=True), "true"),
        (AnyValue(int_value=3), "3"),
        (AnyValue(double_value=0.5), "0.5"),
        (AnyValue(), ""),
    ],
)
def test_attributes_become_text(value: AnyValue, text: str) -> None:
    """Whatever their type was."""
    (record,) = spans_of(span(attributes=[KeyValue(key="k", value=value)]))
    assert record.attributes == {"k": text}


@pytest.mark.parametrize(
    ("metric", "kind", "value"),
    [
        (
            metrics_pb2.Metric(
                name="m",
                sum=metrics_pb2.Sum(
                    data_points=[NUMBER], is_monotonic=True, aggregation_temporality=CUMULATIVE
                ),
            ),
            Kind.COUNTER,
            3.0,
        ),
        (
            metrics_pb2.Metric(
                name="m",
                sum=metrics_pb2.Sum(data_points=[NUMBER], aggregation_temporality=CUMULATIVE),
            ),
            Kind.GAUGE,
            3.0,
        ),
        (
            metrics_pb2.Metric(
                name="m",
                gauge=metrics_pb2.Gauge(data_points=[metrics_pb2.NumberDataPoint(as_double=0.5)]),
            ),
            Kind.GAUGE,
            0.5,
        ),
        (
            metrics_pb2.Metric(
                name="m",
                histogram=metrics_pb2.Histogram(
                    data_points=[metrics_pb2.HistogramDataPoint(count=4, sum=1.5)],
                    aggregation_temporality=CUMULATIVE,
                ),
            ),
            Kind.HISTOGRAM,
            Distribution(1.5, (), (4,)),
        ),
    ],
    ids=["monotonic sum", "other sum", "gauge", "histogram without bounds"],
)
def test_points_are_read_by_what_they_mean(
    metric: metrics_pb2.Metric, kind: Kind, value: Value
) -> None:
    """A sum that may fall is shown as a gauge."""
    assert points_of(metric) == ({("m", kind): value}, 0)


def test_a_histogram_whose_counts_and_bounds_disagree_stays_consistent() -> None:
    """There is always one more count than bounds."""
    point = metrics_pb2.HistogramDataPoint(bucket_counts=[1, 2, 3, 4], explicit_bounds=[0.1])
    data = metrics_pb2.Histogram(data_points=[point], aggregation_temporality=CUMULATIVE)
    points, _ = points_of(metrics_pb2.Metric(name="m", histogram=data))
    assert points == {("m", Kind.HISTOGRAM): Distribution(0.0, (0.1,), (1, 9))}


@pytest.mark.parametrize(
    "metric",
    [
        metrics_pb2.Metric(
            name="m",
            sum=metrics_pb2.Sum(data_points=[NUMBER, NUMBER], aggregation_temporality=DELTA),
        ),
        metrics_pb2.Metric(
            name="m",
            summary=metrics_pb2.Summary(data_points=[metrics_pb2.SummaryDataPoint()] * 2),
        ),
    ],
    ids=["delta sum", "summary"],
)
def test_kinds_that_are_not_kept_are_counted(metric: metrics_pb2.Metric) -> None:
    """The sender is told how many of its points went nowhere."""
    assert points_of(metric) == ({}, 2)


def test_a_metric_without_data_is_nothing() -> None:
    """An empty message is no error."""
    assert points_of(metrics_pb2.Metric(name="m")) == ({}, 0)
