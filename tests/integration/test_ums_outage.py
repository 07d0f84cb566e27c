"""Telemetry while the UMS is away and when it comes."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from engine.ums.v1 import ums_pb2, ums_pb2_grpc
from mesh.context import CALLER
from mesh.telemetry import Meters, SpanKind, Tracer
from mesh.testing import Mesh
from mesh.tokens import ServiceKey
from observability.pipeline import build_pump, tracer_into
from observability.pump import Pump
from observability.ums.app import BLUEPRINT

PROBE = "probe"
NOBODY = "127.0.0.1:1"


class Sender:
    """A process that sends when it is told to, and to whom."""

    def __init__(self, mesh: Mesh) -> None:
        mesh.trust(PROBE, {"ums.read"})
        key = ServiceKey.load(mesh.settings.key_dir, PROBE)
        self.target: str | None = None
        self.meters = Meters()
        self._pump: Pump = build_pump(
            {"service.name": PROBE},
            self.meters,
            lambda: self.target,
            lambda: ((CALLER, key.token()),),
        )
        self._tracer: Tracer = tracer_into(self._pump, ratio=1.0)

    @property
    def dropped(self) -> int:
        return self.meters.counter("telemetry.dropped").value

    def end_span(self) -> str:
        """End a span; returns its trace."""
        with self._tracer.span("step", SpanKind.SERVER, self._tracer.root()) as span:
            return span.context.trace_hex

    async def send(self) -> None:
        await asyncio.to_thread(self._pump.send_spans)

    async def close(self) -> None:
        self._pump.start()
        await asyncio.to_thread(self._pump.close)


async def _is_kept(mesh: Mesh, trace_id: str) -> bool:
    stub = ums_pb2_grpc.UmsServiceStub(mesh.channel("ums", caller=PROBE))
    try:
        await stub.GetTrace(ums_pb2.GetTraceRequest(trace_id=trace_id))
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            raise
        return False
    return True


@pytest.fixture
def sender(mesh: Mesh) -> Sender:
    return Sender(mesh)


async def test_spans_of_before_the_ums_is_known_arrive_when_it_is(
    mesh: Mesh, sender: Sender
) -> None:
    """The start of the platform can be looked at afterwards."""
    early = sender.end_span()
    await sender.send()
    app = await mesh.start(BLUEPRINT)
    sender.target = app.entry.address
    await sender.send()
    assert await _is_kept(mesh, early)
    assert sender.dropped == 0
    await sender.close()


async def test_what_a_dead_ums_did_not_take_is_lost_and_the_rest_arrives(
    mesh: Mesh, sender: Sender
) -> None:
    """Sending goes on by itself once the UMS is back, at its new place."""
    sender.target = NOBODY
    lost = sender.end_span()
    await sender.send()
    assert sender.dropped == 1
    app = await mesh.start(BLUEPRINT)
    sender.target = app.entry.address
    kept = sender.end_span()
    await sender.send()
    assert await _is_kept(mesh, kept)
    assert not await _is_kept(mesh, lost)
    assert sender.dropped == 1
    await sender.close()


async def test_stopping_sends_what_is_left(mesh: Mesh, sender: Sender) -> None:
    """The last spans of a process are those that explain its end."""
    app = await mesh.start(BLUEPRINT)
    sender.target = app.entry.address
    last = sender.end_span()
    await sender.close()
    assert await _is_kept(mesh, last)
