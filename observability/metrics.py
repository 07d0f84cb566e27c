"""Reads `mesh.telemetry.Meters` into OpenTelemetry's data model.

OpenTelemetry has no observable histogram, so the data points are built here
from the plain integers that the mesh counts, and no instrument is ever called
per call. Everything is cumulative since the process began to count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource

from mesh.telemetry import BUCKETS_S, CallStats, Meters
from observability.tracing import SCOPE

_CUMULATIVE = AggregationTemporality.CUMULATIVE


def snapshot(meters: Meters, resource: Resource, *, since_ns: int, now_ns: int) -> MetricsData:
    """All numbers as they stand.

    Calls are `rpc.server.duration` and `rpc.client.duration` in seconds, with
    `rpc.method` ("package.Service/Method") and `rpc.code` ("OK"). Counters and
    gauges keep their names. Times are nanoseconds since 1970.
    """
    metrics = [
        *_calls(meters, since_ns, now_ns),
        *_counters(meters, since_ns, now_ns),
        *_gauges(meters, now_ns),
    ]
    scope = ScopeMetrics(scope=SCOPE, metrics=metrics, schema_url="")
    return MetricsData([ResourceMetrics(resource=resource, scope_metrics=[scope], schema_url="")])


def _calls(meters: Meters, since_ns: int, now_ns: int) -> Iterable[Metric]:
    by_side: dict[str, list[HistogramDataPoint]] = {}
    for (side, method, code), stats in list(meters.calls.items()):
        attributes = {"rpc.method": method.removeprefix("/"), "rpc.code": code}
        point = _histogram_point(stats, attributes, since_ns, now_ns)
        by_side.setdefault(side, []).append(point)
    for side, points in by_side.items():
        yield Metric(
            name="http.server.duration" if side == "http" else f"rpc.{side}.duration",
            description=f"Duration of calls on the {side}'s side",
            unit="s",
            data=Histogram(points, _CUMULATIVE),
        )


def _histogram_point(
    stats: CallStats, attributes: dict[str, str], since_ns: int, now_ns: int
) -> HistogramDataPoint:
    buckets: Sequence[int] = stats.buckets.copy()
    return HistogramDataPoint(
        attributes=attributes,
        start_time_unix_nano=since_ns,
        time_unix_nano=now_ns,
        count=sum(buckets),
        sum=stats.seconds,
        bucket_counts=buckets,
        explicit_bounds=BUCKETS_S,
        # Optional on the wire, and not counted here.
        min=None,  # type: ignore[arg-type]
        max=None,  # type: ignore[arg-type]
    )


def _counters(meters: Meters, since_ns: int, now_ns: int) -> Iterable[Metric]:
    values = {name: counter.value for name, counter in list(meters.counters.items())}
    values |= {name: read() for name, read in list(meters.totals.items())}
    for name, value in values.items():
        point = NumberDataPoint(
            attributes={}, start_time_unix_nano=since_ns, time_unix_nano=now_ns, value=value
        )
        yield Metric(name, "", "", Sum([point], _CUMULATIVE, is_monotonic=True))


def _gauges(meters: Meters, now_ns: int) -> Iterable[Metric]:
    for name, read in list(meters.gauges.items()):
        point = NumberDataPoint(
            attributes={}, start_time_unix_nano=0, time_unix_nano=now_ns, value=read()
        )
        yield Metric(name, "", "", Gauge([point]))
