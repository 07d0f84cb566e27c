"""OTLP messages to what the UMS keeps. Nothing here trusts a sender's sizes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from observability.ums.points import Distribution, Kind, Process, Series, Value
from observability.ums.service import SpanRecord

MAX_NAME: Final = 256
MAX_SERVICE: Final = 64
MAX_ATTRIBUTES: Final = 64
MAX_VALUE: Final = 1_024
MAX_NS: Final = 2**62
"""Times beyond are not of this world, and must fit the database's integers when added up."""

_FAILURE: Final = "error"
_KIND_PREFIX: Final = "SPAN_KIND_"
_CUMULATIVE: Final = metrics_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE

Decoded = tuple[Process, Mapping[Series, Value], int]


def decode_spans(request: trace_service_pb2.ExportTraceServiceRequest) -> list[SpanRecord]:
    """The spans of a request. A failed span has its reason as attribute `error`."""
    return [
        _span(_attributes(group.resource.attributes).get("service.name", ""), span)
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
        if len(span.trace_id) == 16 and len(span.span_id) == 8
    ]


def decode_metrics(request: metrics_service_pb2.ExportMetricsServiceRequest) -> Iterator[Decoded]:
    """For each process: its newest points, and how many were of a kind that is not kept."""
    for group in request.resource_metrics:
        origin = _attributes(group.resource.attributes)
        process = Process(
            origin.get("service.name", "")[:MAX_SERVICE],
            origin.get("service.instance.id", "")[:MAX_SERVICE],
        )
        points: dict[Series, Value] = {}
        unknown = 0
        for metric in (metric for scope in group.scope_metrics for metric in scope.metrics):
            kept, sent = _points(metric)
            points.update(kept)
            unknown += sent - len(kept)
        yield process, points, unknown


def _span(service: str, span: trace_pb2.Span) -> SpanRecord:
    failed = span.status.code == trace_pb2.Status.STATUS_CODE_ERROR
    attributes = _attributes(span.attributes)
    if failed and span.status.message:
        attributes[_FAILURE] = span.status.message[:MAX_VALUE]
    start_ns = min(span.start_time_unix_nano, MAX_NS)
    return SpanRecord(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_span_id=span.parent_span_id.hex()[:16],
        service=service[:MAX_SERVICE],
        name=span.name[:MAX_NAME],
        kind=_kind(span.kind),
        start_ns=start_ns,
        duration_ns=max(0, min(span.end_time_unix_nano, MAX_NS) - start_ns),
        failed=failed,
        attributes=attributes,
    )


def _kind(number: int) -> str:
    value = trace_pb2.Span.SpanKind.DESCRIPTOR.values_by_number.get(number)
    name: str = value.name.removeprefix(_KIND_PREFIX) if value else "UNSPECIFIED"
    return name


def _points(metric: metrics_pb2.Metric) -> tuple[dict[Series, Value], int]:
    """The points to keep by series, and how many were sent."""
    shape = metric.WhichOneof("data")
    if shape is None:
        return {}, 0
    data = getattr(metric, shape)
    kind = _kind_of(shape, data)
    if kind is None:
        return {}, len(data.data_points)
    read = _distribution if kind is Kind.HISTOGRAM else _number
    return {
        Series(metric.name[:MAX_NAME], kind, metric.unit, _sorted(point.attributes)): read(point)
        for point in data.data_points
    }, len(data.data_points)


def _kind_of(shape: str, data: Any) -> Kind | None:
    if shape == "gauge":
        return Kind.GAUGE
    if shape not in ("sum", "histogram") or data.aggregation_temporality != _CUMULATIVE:
        return None
    if shape == "histogram":
        return Kind.HISTOGRAM
    return Kind.COUNTER if data.is_monotonic else Kind.GAUGE


def _number(point: metrics_pb2.NumberDataPoint) -> float:
    return float(point.as_int if point.WhichOneof("value") == "as_int" else point.as_double)


def _distribution(point: metrics_pb2.HistogramDataPoint) -> Distribution:
    counts = tuple(point.bucket_counts) or (point.count,)
    bounds = tuple(point.explicit_bounds)[: len(counts) - 1]
    return Distribution(point.sum, bounds, (*counts[: len(bounds)], sum(counts[len(bounds) :])))


def _sorted(attributes: Iterable[common_pb2.KeyValue]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(_attributes(attributes).items()))


def _attributes(attributes: Iterable[common_pb2.KeyValue]) -> dict[str, str]:
    """Attributes as text; at most `MAX_ATTRIBUTES`, each cut at `MAX_VALUE` characters."""
    found: dict[str, str] = {}
    for pair in attributes:
        if len(found) == MAX_ATTRIBUTES:
            break
        found[pair.key[:MAX_NAME]] = _text(pair.value)[:MAX_VALUE]
    return found


def _text(value: common_pb2.AnyValue) -> str:
    field = value.WhichOneof("value")
    if field == "bool_value":
        return "true" if value.bool_value else "false"
    return str(getattr(value, field)) if field else ""
