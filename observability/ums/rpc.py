"""The UMS's contract: messages to domain and back."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from engine.ums.v1 import ums_pb2, ums_pb2_grpc
from observability.ums.service import SpanRecord, TraceHead, Traces


class UmsRpc(ums_pb2_grpc.UmsServiceServicer):
    """Serves `engine.ums.v1.UmsService`."""

    def __init__(self, traces: Traces) -> None:
        self._traces = traces

    async def GetTrace(
        self, request: ums_pb2.GetTraceRequest, _: object
    ) -> ums_pb2.GetTraceResponse:
        spans = await self._traces.get(request.trace_id)
        trace = ums_pb2.Trace(trace_id=request.trace_id, spans=map(_span, spans))
        return ums_pb2.GetTraceResponse(trace=trace)

    async def ListTraces(
        self, request: ums_pb2.ListTracesRequest, _: object
    ) -> ums_pb2.ListTracesResponse:
        heads = await self._traces.recent(request.page_size)
        return ums_pb2.ListTracesResponse(traces=map(_summary, heads))


def _span(span: SpanRecord) -> ums_pb2.Span:
    return ums_pb2.Span(
        span_id=span.span_id,
        parent_span_id=span.parent_span_id,
        service=span.service,
        name=span.name,
        kind=span.kind,
        start_time=_timestamp(span.start_ns),
        duration_ns=span.duration_ns,
        failed=span.failed,
        attributes=span.attributes,
    )


def _summary(head: TraceHead) -> ums_pb2.TraceSummary:
    return ums_pb2.TraceSummary(
        trace_id=head.trace_id,
        name=head.name,
        service=head.service,
        start_time=_timestamp(head.start_ns),
        duration_ns=head.duration_ns,
        spans=head.spans,
        failed=head.failed,
    )


def _timestamp(nanoseconds: int) -> Timestamp:
    return Timestamp(seconds=nanoseconds // 1_000_000_000, nanos=nanoseconds % 1_000_000_000)
