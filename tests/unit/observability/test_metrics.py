"""Plain integers as OpenTelemetry's data points."""

from __future__ import annotations

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics.export import Gauge, Histogram, Metric, Sum
from opentelemetry.sdk.resources import Resource

from mesh.telemetry import BUCKETS_S, Meters
from observability.metrics import snapshot
from observability.ums.decoding import decode_metrics
from observability.ums.points import Distribution, Kind, Process

RESOURCE = Resource({"service.name": "customer", "service.instance.id": "one"})


def metrics_of(meters: Meters) -> dict[str, Metric]:
    (group,) = snapshot(meters, RESOURCE, since_ns=1, now_ns=2).resource_metrics
    assert group.resource is RESOURCE
    (scope,) = group.scope_metrics
    return {metric.name: metric for metric in scope.metrics}


def test_calls_become_one_histogram_for_each_side() -> None:
    """Each method and code is a data point with the mesh's own buckets."""
    meters = Meters()
    for seconds in (0.0004, 0.02, 99.0):
        meters.call("server", "/a.S/M", "OK").add(seconds)
    meters.call("server", "/a.S/M", "NOT_FOUND").add(0.02)
    meters.call("client", "/b.S/M", "OK").add(0.02)
    metrics = metrics_of(meters)
    server = metrics["rpc.server.duration"]
    assert server.unit == "s"
    assert isinstance(server.data, Histogram)
    served, failed = server.data.data_points
    assert served.attributes == {"rpc.method": "a.S/M", "rpc.code": "OK"}
    assert (served.count, served.sum) == (3, 99.0204)
    assert served.explicit_bounds == BUCKETS_S
    assert (served.bucket_counts[0], served.bucket_counts[-1]) == (1, 1)
    assert failed.attributes == {"rpc.method": "a.S/M", "rpc.code": "NOT_FOUND"}
    assert isinstance(metrics["rpc.client.duration"].data, Histogram)


def test_a_histogram_does_not_change_after_it_was_read() -> None:
    """The mesh goes on counting while the export is under way."""
    meters = Meters()
    stats = meters.call("server", "/a.S/M", "OK")
    stats.add(0.02)
    data = metrics_of(meters)["rpc.server.duration"].data
    stats.add(0.02)
    assert isinstance(data, Histogram)
    assert data.data_points[0].count == sum(data.data_points[0].bucket_counts) == 1


def test_counters_are_monotonic_sums_and_gauges_are_read_at_export() -> None:
    """Both keep their names."""
    meters = Meters()
    meters.counter("sequencer.ids_leased").add(7)
    level = 1.5
    meters.total("sequencer.client.waits", lambda: int(2 * level))
    meters.gauge("bus.lag_s", lambda: level)
    level = 2.5
    metrics = metrics_of(meters)
    counter, gauge = metrics["sequencer.ids_leased"].data, metrics["bus.lag_s"].data
    total = metrics["sequencer.client.waits"].data
    assert isinstance(counter, Sum)
    assert counter.is_monotonic
    assert counter.data_points[0].value == 7
    assert counter.data_points[0].start_time_unix_nano == 1
    assert isinstance(total, Sum)
    assert total.is_monotonic
    assert total.data_points[0].value == 5
    assert isinstance(gauge, Gauge)
    assert gauge.data_points[0].value == 2.5


def test_what_is_encoded_is_what_the_ums_decodes() -> None:
    """Every number survives the wire."""
    meters = Meters()
    stats = meters.call("server", "/a.S/M", "OK")
    stats.add(0.02)
    meters.counter("made").add(3)
    meters.gauge("level", lambda: 0.25)
    request = encode_metrics(snapshot(meters, RESOURCE, since_ns=1, now_ns=2))
    ((process, points, unknown),) = decode_metrics(request)
    assert process == Process("customer", "one")
    assert unknown == 0
    assert {(series.name, series.kind): value for series, value in points.items()} == {
        ("rpc.server.duration", Kind.HISTOGRAM): Distribution(
            stats.seconds, BUCKETS_S, tuple(stats.buckets)
        ),
        ("made", Kind.COUNTER): 3.0,
        ("level", Kind.GAUGE): 0.25,
    }
