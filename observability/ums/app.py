"""Composes the UMS from its parts."""

from __future__ import annotations

from pathlib import Path

from engine.ums.v1 import ums_pb2
from mesh.service import Blueprint, Parts, Service, Servicer
from observability.ums.points import PointTable
from observability.ums.prometheus import PrometheusEndpoint
from observability.ums.receiver import Receiver
from observability.ums.rpc import UmsRpc
from observability.ums.service import Retention, Traces
from observability.ums.store import SpanTable


def build(parts: Parts) -> Service:
    """The UMS: traces by contract, OTLP beside it, Prometheus on a port of its own."""
    meters = parts.telemetry.meters
    spans = SpanTable(parts.store, parts.clock)
    points = PointTable(parts.clock)
    endpoint = PrometheusEndpoint(parts.settings.host, parts.settings.metrics_port, points)
    return Service(
        servicers=(
            Servicer(
                descriptor=ums_pb2.DESCRIPTOR.services_by_name["UmsService"],
                implementation=UmsRpc(Traces(spans)),
            ),
        ),
        resources=(Retention(spans, parts.clock, meters), endpoint),
        handlers=Receiver(parts.verifier, spans, points, meters).handlers(),
        http=lambda: endpoint.address,
    )


BLUEPRINT = Blueprint(
    name="ums",
    build=build,
    migrations=Path(__file__).parent / "migrations",
    single=True,  # the newest metrics of all processes are held in memory, behind one port
)
