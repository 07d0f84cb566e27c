"""Wires telemetry into one process. OpenTelemetry is imported only when it is on."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from mesh.app import host_id
from mesh.channel import Endpoint, registered
from mesh.context import AUTHORIZATION, CALLER
from mesh.registry import Registry
from mesh.settings import Settings
from mesh.telemetry import Meters, Telemetry
from mesh.tls import Certificate, Credentials
from mesh.tokens import ServiceKey

DISTRIBUTION: Final = "engine-platform"
UMS: Final = "ums"


@asynccontextmanager
async def install(
    settings: Settings, service: str, registry: Registry, key: ServiceKey
) -> AsyncIterator[Telemetry]:
    """Observe a process for the length of an `async with` block.

    Spans and metrics go to `settings.otlp_endpoint`, else to the UMS that the
    registry knows at the moment. Enter it after the fork, for it starts a thread,
    and leave it last: leaving sends what is waiting and takes at most two
    seconds, collector or not. A process that forks imports
    `observability.pipeline` before it does.

    Args:
        settings: `telemetry` turns it off: then spans do nothing and meters still count.
        service: name of the service.
        registry: where the UMS is found.
        key: proves to the UMS who sends; another collector gets `settings.otlp_token`.
    """
    meters = Meters()
    if not settings.telemetry:
        yield Telemetry(meters=meters)
        return
    from observability import pipeline  # noqa: PLC0415 - see the module's docstring

    endpoints = registered(registry, UMS, host_id())

    def target() -> Endpoint | str | None:
        return settings.otlp_endpoint or next(iter(endpoints()), None)

    def proofs() -> tuple[tuple[str, str], ...]:
        if not settings.otlp_endpoint:
            return ((CALLER, key.token()),)
        if settings.otlp_token:
            return ((AUTHORIZATION, f"Bearer {settings.otlp_token}"),)
        return ()

    origin = {
        "service.name": service,
        "service.instance.id": secrets.token_hex(4),
        "service.version": _version(),
    }
    async with _shown(settings, service) as tls:
        pump = pipeline.build_pump(origin, meters, target, proofs, tls)
        pump.start()
        try:
            tracer = pipeline.tracer_into(pump, ratio=settings.sample_ratio)
            yield Telemetry(tracer=tracer, meters=meters)
        finally:
            await asyncio.to_thread(pump.close)


@asynccontextmanager
async def _shown(settings: Settings, service: str) -> AsyncIterator[Credentials | None]:
    """What a UMS on another host is shown."""
    certificate = Certificate.of(settings, service)
    if certificate is None:
        yield None
        return
    async with Credentials(certificate) as credentials:
        yield credentials


def _version() -> str:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "0"
