"""Telemetry of a process: what turning it off saves, and who is given proofs."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

import observability
from mesh.registry import DirectoryRegistry, Entry
from mesh.settings import Settings
from mesh.telemetry import NullTracer, SpanKind
from mesh.tokens import ServiceKey, write_trust
from observability.otlp import EXPORT_SPANS

OFF = """
import asyncio, sys, threading
from pathlib import Path
import observability
from mesh.registry import DirectoryRegistry
from mesh.settings import Settings
from mesh.telemetry import SpanKind
from mesh.tokens import ServiceKey, write_trust

async def main(var):
    settings = Settings(var=var, telemetry=False, trace_sample=1.0)
    write_trust(settings.key_dir, {"customer": []})
    key = ServiceKey.load(settings.key_dir, "customer")
    registry = DirectoryRegistry(settings.run_dir)
    async with observability.install(settings, "customer", registry, key) as telemetry:
        tracer = telemetry.tracer
        with tracer.span("step", SpanKind.SERVER, tracer.root()):
            telemetry.meters.counter("made").add()
        assert telemetry.meters.counter("made").value == 1
        assert threading.active_count() == 1
    print([name for name in sys.modules if name.startswith(("opentelemetry", "prometheus"))])

asyncio.run(main(Path(sys.argv[1])))
"""


def installed(var: Path, **changes: object) -> tuple[Settings, DirectoryRegistry, ServiceKey]:
    settings = replace(Settings(var=var, trace_sample=1.0), **changes)  # type: ignore[arg-type]
    write_trust(settings.key_dir, {"customer": []})
    key = ServiceKey.load(settings.key_dir, "customer")
    return settings, DirectoryRegistry(settings.run_dir), key


def test_turned_off_it_loads_no_opentelemetry_and_starts_no_thread(var: Path) -> None:
    """Whoever turns telemetry off pays nothing for it."""
    done = subprocess.run(
        [sys.executable, "-c", OFF, str(var)], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


async def test_turned_off_its_tracer_is_the_null_one(var: Path) -> None:
    """Sampling plays no part then."""
    settings, registry, key = installed(var, telemetry=False)
    async with observability.install(settings, "customer", registry, key) as telemetry:
        assert isinstance(telemetry.tracer, NullTracer)


async def test_without_a_ums_a_process_starts_works_and_stops(var: Path) -> None:
    """Monitoring is never a condition of service."""
    settings, registry, key = installed(var)
    async with observability.install(settings, "customer", registry, key) as telemetry:
        with telemetry.tracer.span("step", SpanKind.SERVER, telemetry.tracer.root()):
            pass
    assert telemetry.meters.counter("telemetry.dropped").value == 1


@pytest.mark.parametrize("foreign", [True, False])
async def test_proofs_are_given_to_the_ums_alone(var: Path, *, foreign: bool) -> None:
    """A collector of somebody else's gets its own token and cannot act as our service."""
    received: list[dict[str, str | bytes]] = []

    async def export(_: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        received.append(dict(context.invocation_metadata() or ()))
        return b""

    method: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(export)
    service, _, name = EXPORT_SPANS.removeprefix("/").partition("/")
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {name: method}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        settings, registry, key = installed(
            var, otlp_endpoint=f"127.0.0.1:{port}" if foreign else "", otlp_token="theirs"
        )
        if not foreign:
            await registry.register(ums_entry(port))
        async with observability.install(settings, "customer", registry, key) as telemetry:
            with telemetry.tracer.span("step", SpanKind.SERVER, telemetry.tracer.root()):
                pass
    finally:
        await server.stop(None)
    (metadata,) = received
    assert ("x-engine-caller" in metadata) is not foreign
    assert metadata.get("authorization") == ("Bearer theirs" if foreign else None)


def ums_entry(port: int) -> Entry:
    return Entry(
        service="ums",
        instance="one",
        address=f"127.0.0.1:{port}",
        socket="",
        host_id="elsewhere",
        pid=os.getpid(),
        version="0",
    )
