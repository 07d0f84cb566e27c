"""Spans from where a request begins to the last SQL statement, through a real UMS."""

from __future__ import annotations

import secrets

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

import observability
from engine.ums.v1 import ums_pb2, ums_pb2_grpc
from mesh.errors import ErrorView
from mesh.telemetry import SpanKind, Telemetry
from mesh.testing import Mesh
from mesh.tokens import ServiceKey
from observability.otlp import EXPORT_METRICS, EXPORT_SPANS
from observability.ums.app import BLUEPRINT

PROBE = "probe"


async def _observed(mesh: Mesh) -> Telemetry:
    """Telemetry of a process named "probe" until the mesh is left."""
    mesh.trust(PROBE, {"ums.read"})
    key = ServiceKey.load(mesh.settings.key_dir, PROBE)
    return await mesh._stack.enter_async_context(
        observability.install(mesh.settings, PROBE, mesh.registry, key)
    )


def _stub(mesh: Mesh) -> ums_pb2_grpc.UmsServiceAsyncStub:
    return ums_pb2_grpc.UmsServiceStub(mesh.channel("ums", caller=PROBE))
