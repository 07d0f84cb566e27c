"""Spans from where a request begins to its last SQL statement, through a real UMS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

import observability
from engine.ums.v1 import ums_pb2, ums_pb2_grpc
from mesh.blocking import blocking_channel
from mesh.context import CALLER, Metadata
from mesh.errors import ErrorView
from mesh.telemetry import Meters, SpanKind, Telemetry, Tracer
from mesh.testing import Mesh
from mesh.tokens import ServiceKey
from observability.otlp import EXPORT_METRICS, EXPORT_SPANS
from observability.pipeline import build_pump, tracer_into
from observability.ums.app import BLUEPRINT

PROBE = "probe"
LIST = "engine.ums.v1.UmsService/ListTraces"
GET = "engine.ums.v1.UmsService/GetTrace"
UNKNOWN = "f" * 32


class Ums:
    """A UMS that traces every request and sends its own spans when it is told to."""

    def __init__(self, mesh: Mesh) -> None:
        mesh.trust(PROBE, {"ums.read"})
        mesh.trust("ums", ())
        self._mesh = mesh
        self._key = ServiceKey.load(mesh.settings.key_dir, PROBE)
        meters = Meters()
        self._pump = build_pump(
            {"service.name": "ums"}, meters, self._address, lambda: ((CALLER, self._key.token()),)
        )
        self.tracer = tracer_into(self._pump, ratio=1.0)
        self.telemetry = Telemetry(tracer=self.tracer, meters=meters)

    @property
    def stub(self) -> ums_pb2_grpc.UmsServiceAsyncStub:
        return ums_pb2_grpc.UmsServiceStub(self._mesh.channel("ums", caller=PROBE))

    async def list_within_a_trace(self, tracer: Tracer) -> str:
        """Be called within a new trace; returns the trace's id."""
        with tracer.span("probe", SpanKind.CLIENT, tracer.root()) as span:
            await self.stub.ListTraces(ums_pb2.ListTracesRequest())
        return span.context.trace_hex

    async def trace(self, trace_id: str) -> list[ums_pb2.Span]:
        """The spans of a trace, those of the UMS itself included."""
        await self.send()
        answer = await self.stub.GetTrace(ums_pb2.GetTraceRequest(trace_id=trace_id))
        return list(answer.trace.spans)

    async def heads(self) -> list[ums_pb2.TraceSummary]:
        """All traces."""
        await self.send()
        return list((await self.stub.ListTraces(ums_pb2.ListTracesRequest(page_size=1000))).traces)

    async def send(self) -> None:
        """Send the spans that the UMS has of itself."""
        await asyncio.to_thread(self._pump.send_spans)

    def close(self) -> None:
        self._pump.start()
        self._pump.close()

    def _address(self) -> str | None:
        return next((entry.address for entry in self._mesh.registry.lookup("ums")), None)


@pytest.fixture
async def ums(mesh: Mesh) -> AsyncIterator[Ums]:
    ums = Ums(mesh)
    await mesh.start(BLUEPRINT, telemetry=ums.telemetry)
    yield ums
    await asyncio.to_thread(ums.close)


async def test_one_trace_leads_from_the_client_through_the_server_to_the_database(
    mesh: Mesh, ums: Ums
) -> None:
    """Spans of two processes share one id, each below the one that caused it."""
    settings = replace(mesh.settings, trace_sample=1.0)
    key = ServiceKey.load(mesh.settings.key_dir, PROBE)
    async with observability.install(settings, PROBE, mesh.registry, key) as probe:
        trace_id = await ums.list_within_a_trace(probe.tracer)
    client, server, sql = await ums.trace(trace_id)
    assert (client.service, client.name, client.kind) == (PROBE, "probe", "CLIENT")
    assert (server.service, server.name, server.kind) == ("ums", LIST, "SERVER")
    assert (sql.service, sql.name, sql.kind) == ("ums", "sql SELECT span", "CLIENT")
    assert client.parent_span_id == ""
    assert server.parent_span_id == client.span_id
    assert sql.parent_span_id == server.span_id
    assert client.duration_ns >= server.duration_ns >= sql.duration_ns > 0


async def test_a_trace_is_listed_with_its_sums(ums: Ums) -> None:
    """The list has what the tree has, in a line."""
    trace_id = await ums.list_within_a_trace(ums.tracer)
    root, *_ = await ums.trace(trace_id)
    (head,) = (head for head in await ums.heads() if head.trace_id == trace_id)
    assert (head.service, head.name, head.spans) == ("ums", "probe", 3)
    assert (head.start_time, head.duration_ns) == (root.start_time, root.duration_ns)
    assert not head.failed


async def test_a_failed_call_fails_its_span_and_says_why(ums: Ums) -> None:
    """An operator finds failed traces without reading logs."""
    with ums.tracer.span("probe", SpanKind.CLIENT, ums.tracer.root()) as span:
        with pytest.raises(grpc.aio.AioRpcError):
            await ums.stub.GetTrace(ums_pb2.GetTraceRequest(trace_id=UNKNOWN))
        span.set("tried", "once")
    probe, server, _ = await ums.trace(span.context.trace_hex)
    assert server.failed
    assert server.attributes["error"] == "NOT_FOUND"
    assert not probe.failed
    assert probe.attributes == {"tried": "once"}


async def test_an_unsampled_request_leaves_no_span(ums: Ums) -> None:
    """Every process follows the decision that was made where the trace began."""
    silent = await ums.list_within_a_trace(Telemetry().tracer)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ums.trace(silent)
    assert ErrorView.from_rpc(caught.value).reason == "TRACE_NOT_FOUND"


async def test_exports_are_not_traced(ums: Ums) -> None:
    """Spans about the arrival of spans would never end."""
    for _ in range(3):
        await ums.list_within_a_trace(ums.tracer)
        await ums.send()
    assert {head.name for head in await ums.heads()} <= {"probe", LIST}


async def test_an_unknown_trace_is_not_found_and_a_broken_id_is_refused(ums: Ums) -> None:
    """Both tell the caller what to do."""
    for trace_id, reason in ((UNKNOWN, "TRACE_NOT_FOUND"), ("nonsense", "INVALID_ARGUMENT")):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ums.stub.GetTrace(ums_pb2.GetTraceRequest(trace_id=trace_id))
        view = ErrorView.from_rpc(caught.value)
        assert view.reason == reason
        assert view.next_step


@pytest.fixture
def proofs(request: pytest.FixtureRequest, mesh: Mesh) -> Metadata:
    """Metadata of a sender whom the UMS must not believe."""
    named: dict[str, Metadata] = {
        "none": (),
        "garbage": ((CALLER, "garbage"),),
        "a user": ((CALLER, mesh.token("rm001", permissions={"ums.read"})),),
    }
    return named[request.param]


@pytest.mark.parametrize("proofs", ["none", "garbage", "a user"], indirect=True)
@pytest.mark.usefixtures("ums")
async def test_exports_without_a_services_proof_are_refused(mesh: Mesh, proofs: Metadata) -> None:
    """Nobody outside the mesh can write what operators read."""
    (entry,) = mesh.registry.lookup("ums")
    requests = {
        EXPORT_SPANS: trace_service_pb2.ExportTraceServiceRequest().SerializeToString(),
        EXPORT_METRICS: metrics_service_pb2.ExportMetricsServiceRequest().SerializeToString(),
    }

    def export(method: str) -> grpc.StatusCode:
        with blocking_channel(entry.address, lambda: proofs) as channel:
            call: Any = channel.unary_unary(method)
            with pytest.raises(grpc.RpcError) as caught:
                call(requests[method])
            return ErrorView.from_rpc(caught.value).code

    for method in requests:
        code = await asyncio.to_thread(export, method)
        assert code is grpc.StatusCode.UNAUTHENTICATED
