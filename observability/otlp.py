"""Names of the OpenTelemetry collector's own services."""

from __future__ import annotations

from typing import Final

TRACE_SERVICE: Final = "opentelemetry.proto.collector.trace.v1.TraceService"
METRICS_SERVICE: Final = "opentelemetry.proto.collector.metrics.v1.MetricsService"

EXPORT_SPANS: Final = f"/{TRACE_SERVICE}/Export"
EXPORT_METRICS: Final = f"/{METRICS_SERVICE}/Export"
