"""Receives OTLP: the OpenTelemetry collector's own services, next to our contracts.

They stand outside the interceptor chain, so each call is checked here, and none
is traced: the spans about spans would never end. A sender is a trusted service
that proves itself with its caller token.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

import grpc
from google.protobuf.message import Message
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from mesh.context import CALLER, text_metadata
from mesh.errors import STATUS_DETAILS_KEY, MeshError, MeshReason
from mesh.log import get_logger
from mesh.storage import StoreUnavailable
from mesh.telemetry import Meters
from mesh.tokens import TokenVerifier
from observability.otlp import METRICS_SERVICE, TRACE_SERVICE
from observability.ums.decoding import decode_metrics, decode_spans
from observability.ums.points import PointTable
from observability.ums.service import SpanStore

MAX_WAITING: Final = 64
"""Exports that are being stored at once; further ones are refused."""

_Request = TypeVar("_Request", bound=Message)
_Response = TypeVar("_Response", bound=Message)
_Context = grpc.aio.ServicerContext[Any, Any]
_Take = Callable[[_Request], Awaitable[_Response]]

_log = get_logger(__name__)


class Receiver:
    """Takes what was exported into the store and the table of points."""

    def __init__(
        self, verifier: TokenVerifier, spans: SpanStore, points: PointTable, meters: Meters
    ) -> None:
        self._verifier = verifier
        self._spans = spans
        self._points = points
        self._waiting = 0
        self._spans_received = meters.counter("ums.spans_received")
        self._points_refused = meters.counter("ums.points_refused")
        self._failures = meters.counter("ums.export_failures")

    def handlers(self) -> Sequence[grpc.GenericRpcHandler]:
        """What a server adds to serve both collector services."""
        spans = trace_service_pb2.ExportTraceServiceRequest.FromString
        metrics = metrics_service_pb2.ExportMetricsServiceRequest.FromString
        return (
            _handler(TRACE_SERVICE, spans, self._checked(self._take_spans)),
            _handler(METRICS_SERVICE, metrics, self._checked(self._take_metrics)),
        )

    async def _take_spans(
        self, request: trace_service_pb2.ExportTraceServiceRequest
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        spans = decode_spans(request)
        await self._spans.add(spans)
        self._spans_received.add(len(spans))
        return trace_service_pb2.ExportTraceServiceResponse()

    async def _take_metrics(
        self, request: metrics_service_pb2.ExportMetricsServiceRequest
    ) -> metrics_service_pb2.ExportMetricsServiceResponse:
        refused = 0
        for process, points, unknown in decode_metrics(request):
            refused += unknown + self._points.update(process, points)
        self._points_refused.add(refused)
        response = metrics_service_pb2.ExportMetricsServiceResponse()
        if refused:
            response.partial_success.rejected_data_points = refused
            response.partial_success.error_message = (
                "kept are cumulative counters, gauges and histograms, within the table's bound"
            )
        return response

    def _checked(self, take: _Take[_Request, _Response]) -> Callable[..., Awaitable[_Response]]:
        async def export(request: _Request, context: _Context) -> _Response:
            try:
                self._admit(context)
                self._waiting += 1
                try:
                    return await take(request)
                finally:
                    self._waiting -= 1
            except MeshError as error:
                await _abort(context, error)
            except StoreUnavailable:
                await _abort(context, MeshError(MeshReason.UNAVAILABLE))
            except Exception as error:  # noqa: BLE001 - no chain stands around these calls
                self._failures.add()
                _log.error("export_failed", error=type(error).__name__)
                await _abort(context, MeshError(MeshReason.INTERNAL))
            raise AssertionError("abort raises")

        return export

    def _admit(self, context: _Context) -> None:
        token = text_metadata(context.invocation_metadata() or ()).get(CALLER)
        if not token:
            raise MeshError(MeshReason.UNAUTHENTICATED, "The export carries no caller token")
        self._verifier.caller(token)
        if self._waiting >= MAX_WAITING:
            raise MeshError(MeshReason.OVERLOADED)


def _handler(
    service: str, parse: Callable[[bytes], Any], export: Callable[..., Awaitable[Any]]
) -> grpc.GenericRpcHandler:
    method: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(
        export, request_deserializer=parse, response_serializer=lambda m: m.SerializeToString()
    )
    return grpc.method_handlers_generic_handler(service, {"Export": method})


async def _abort(context: _Context, error: MeshError) -> None:
    trailing = ((STATUS_DETAILS_KEY, error.to_status().SerializeToString()),)
    await context.abort(error.code, error.detail, trailing)
