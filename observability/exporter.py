"""Sends spans and metrics to an OTLP collector, over a blocking channel of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import grpc
from google.protobuf.message import Message
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.trace import ReadableSpan

from mesh.blocking import BlockingChannel
from mesh.blocking import Target as Address
from mesh.lane.dial import Tls
from observability.otlp import EXPORT_METRICS, EXPORT_SPANS

Target = Callable[[], Address | None]
"""Where the collector is at the moment, a gRPC address or an endpoint; None: there is none."""

Credentials = Callable[[], tuple[tuple[str, str], ...]]
"""The metadata that proves who sends."""


class OtlpExporter:
    """Exports when asked to; used by one thread at a time.

    The channel opens at the first export, so after any fork, and anew when the
    target moves. Exports answer whether the collector took them and never raise
    because of it; there is no retry. `tls` is for endpoints of the mesh; a collector that is
    known by its address alone is spoken to without.
    """

    def __init__(self, target: Target, credentials: Credentials, tls: Tls | None = None) -> None:
        self._target = target
        self._tls = tls
        self._credentials = credentials
        self._open_to: Address | None = None
        self._channel: grpc.Channel | None = None

    def has_target(self) -> bool:
        """Whether a collector is known."""
        return self._target() is not None

    def spans(self, spans: Sequence[ReadableSpan], *, timeout_s: float) -> bool:
        """Send finished spans."""
        return self._send(EXPORT_SPANS, encode_spans(spans), timeout_s)

    def metrics(self, metrics: MetricsData, *, timeout_s: float) -> bool:
        """Send the numbers as they stand."""
        return self._send(EXPORT_METRICS, encode_metrics(metrics), timeout_s)

    def close(self) -> None:
        """Close the channel; the next export opens it again."""
        if self._channel is not None:
            self._channel.close()
        self._open_to = self._channel = None

    def _send(self, method: str, request: Message, timeout_s: float) -> bool:
        channel = self._channel_to(self._target())
        if channel is None:
            return False
        export: Any = channel.unary_unary(method, request_serializer=_serialize)
        try:
            export(request, timeout=timeout_s)
        except grpc.RpcError:
            return False
        return True

    def _channel_to(self, target: Address | None) -> grpc.Channel | None:
        if target != self._open_to:
            self.close()
            if target is not None:
                tls = None if isinstance(target, str) else self._tls
                self._channel = BlockingChannel(
                    target, self._credentials, service="collector", tls=tls
                )
                self._open_to = target
        return self._channel


def _serialize(request: Message) -> bytes:
    return request.SerializeToString()
