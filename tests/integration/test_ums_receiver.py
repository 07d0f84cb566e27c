"""The collector's services on a real socket when what stands behind them fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from mesh.clock import SystemClock
from mesh.context import CALLER
from mesh.errors import ErrorView
from mesh.storage import StoreUnavailable
from mesh.telemetry import Meters
from mesh.tokens import ServiceKey, TokenVerifier, write_trust
from observability.otlp import EXPORT_METRICS, EXPORT_SPANS
from observability.ums.points import PointTable
from observability.ums.receiver import MAX_WAITING, Receiver
from observability.ums.service import SpanRecord, TraceHead

SPANS = trace_service_pb2.ExportTraceServiceRequest(
    resource_spans=[
        trace_pb2.ResourceSpans(
            scope_spans=[
                trace_pb2.ScopeSpans(
                    spans=[trace_pb2.Span(trace_id=b"t" * 16, span_id=b"s" * 8, name="step")]
                )
            ]
        )
    ]
)
POINTS = metrics_service_pb2.ExportMetricsServiceRequest(
    resource_metrics=[
        metrics_pb2.ResourceMetrics(
            scope_metrics=[
                metrics_pb2.ScopeMetrics(
                    metrics=[
                        metrics_pb2.Metric(
                            name=name,
                            gauge=metrics_pb2.Gauge(
                                data_points=[metrics_pb2.NumberDataPoint(as_int=1)]
                            ),
                        )
                        for name in ("one", "two", "three")
                    ]
                )
            ]
        )
    ]
)


class ScriptedSpans:
    """A span store that fails, or holds up, as it is told."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.adding = 0
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.all_in = asyncio.Event()

    async def add(self, spans: Sequence[SpanRecord]) -> None:
        assert [span.name for span in spans] == ["step"]
        if self.error:
            raise self.error
        self.adding += 1
        if self.adding == MAX_WAITING:
            self.all_in.set()
        await self.go_on.wait()

    async def trace(self, trace_id: str, *, limit: int) -> Sequence[SpanRecord]:
        raise NotImplementedError

    async def heads(self, *, limit: int) -> Sequence[TraceHead]:
        raise NotImplementedError

    async def purge(self, *, before: datetime, keep: int) -> int:
        raise NotImplementedError


class Sender:
    """A trusted service that exports."""

    def __init__(self, channel: grpc.aio.Channel, key: ServiceKey) -> None:
        self._channel = channel
        self._key = key

    async def spans(self) -> bytes:
        return await self._export(EXPORT_SPANS, SPANS.SerializeToString())

    async def metrics(self) -> metrics_service_pb2.ExportMetricsServiceResponse:
        answer = await self._export(EXPORT_METRICS, POINTS.SerializeToString())
        return metrics_service_pb2.ExportMetricsServiceResponse.FromString(answer)

    async def _export(self, method: str, request: bytes) -> bytes:
        call: Any = self._channel.unary_unary(method)
        proof = ((CALLER, self._key.token()),)
        return bytes(await call(request, metadata=proof, timeout=20))


@asynccontextmanager
async def served(
    var: Path, spans: ScriptedSpans, points: PointTable | None = None, meters: Meters | None = None
) -> AsyncIterator[Sender]:
    write_trust(var, {"customer": []})
    receiver = Receiver(
        TokenVerifier.load(var), spans, points or PointTable(SystemClock()), meters or Meters()
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(tuple(receiver.handlers()))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Sender(channel, ServiceKey.load(var, "customer"))
    finally:
        await server.stop(None)


async def test_what_is_received_is_counted(var: Path) -> None:
    """The UMS watches itself by the same meters as everybody."""
    meters = Meters()
    async with served(var, ScriptedSpans(), meters=meters) as sender:
        await sender.spans()
    assert meters.counter("ums.spans_received").value == 1


async def test_a_database_that_is_away_is_unavailable(var: Path) -> None:
    """The sender drops the batch and counts it."""
    async with served(var, ScriptedSpans(StoreUnavailable("locked"))) as sender:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await sender.spans()
    assert ErrorView.from_rpc(caught.value).reason == "UNAVAILABLE"


async def test_an_unexpected_error_shows_nothing_of_itself(
    var: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither to the caller nor, beyond its type, in the log."""
    caplog.set_level(logging.INFO, logger="engine")
    meters = Meters()
    async with served(var, ScriptedSpans(ValueError("13800138000")), meters=meters) as sender:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await sender.spans()
    view = ErrorView.from_rpc(caught.value)
    assert view.reason == "INTERNAL"
    assert "13800138000" not in view.message + caplog.text
    assert "export_failed" in caplog.text
    assert meters.counter("ums.export_failures").value == 1


async def test_exports_beyond_the_bound_are_refused_until_others_are_stored(var: Path) -> None:
    """A slow disk does not fill the memory with spans."""
    store = ScriptedSpans()
    store.go_on.clear()
    async with served(var, store) as sender, asyncio.TaskGroup() as waiting:
        for _ in range(MAX_WAITING):
            waiting.create_task(sender.spans())
        await store.all_in.wait()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await sender.spans()
        store.go_on.set()
        await sender.spans()
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_points_that_found_no_room_are_reported_to_the_sender(var: Path) -> None:
    """By OTLP's own means, and in a counter."""
    meters = Meters()
    points = PointTable(SystemClock(), max_points=1)
    async with served(var, ScriptedSpans(), points, meters) as sender:
        answer = await sender.metrics()
    assert answer.partial_success.rejected_data_points == 2
    assert answer.partial_success.error_message
    assert meters.counter("ums.points_refused").value == 2
    assert len(points.read()) == 1
