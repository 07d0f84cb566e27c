"""Puts exporter, metrics and pump together. Importing this loads the OpenTelemetry SDK."""

from __future__ import annotations

import time
from collections.abc import Mapping

from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.resources import Resource

from mesh.lane.dial import Tls
from mesh.telemetry import Meters, Tracer
from observability.exporter import Credentials, OtlpExporter, Target
from observability.metrics import snapshot
from observability.pump import Pump
from observability.tracing import OtelTracer


def build_pump(
    origin: Mapping[str, str],
    meters: Meters,
    target: Target,
    credentials: Credentials,
    tls: Tls | None = None,
) -> Pump:
    """A pump that is not started; `origin` has the attributes that name this process."""
    resource = Resource(dict(origin))
    since_ns = time.time_ns()

    def metrics() -> MetricsData:
        return snapshot(meters, resource, since_ns=since_ns, now_ns=time.time_ns())

    exporter = OtlpExporter(target, credentials, tls)
    return Pump(exporter, resource, metrics, meters.counter("telemetry.dropped"))


def tracer_into(pump: Pump, *, ratio: float) -> Tracer:
    """A tracer that samples `ratio` of new traces, 0 to 1, and gives their spans to `pump`."""
    return OtelTracer(pump.put, ratio=ratio)
