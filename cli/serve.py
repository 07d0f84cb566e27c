"""Runs one service in this process until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import re
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

import uvloop

import observability
from cli.names import OPERATOR
from cli.output import fail
from cli.processes.seat import seat
from mesh import log
from mesh.app import App
from mesh.registry import DirectoryRegistry, Entry, Registry
from mesh.registry.addresses import NAME as REGISTRY
from mesh.registry.addresses import own_port
from mesh.service import Blueprint
from mesh.settings import Settings
from mesh.tokens import ServiceKey

_LABEL: Final = re.compile(r"[\w.+-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a process of a service goes.

    Args:
        ports: the TCP ports that it may take, best first; where none of them is free, and
            without any, the system picks one. Two let one process replace another.
        version: what its entry says that it is; empty: the version of the program.
    """

    ports: tuple[int, ...] = ()
    version: str = ""


@asynccontextmanager
async def open_registry(
    settings: Settings, key: ServiceKey | None = None
) -> AsyncIterator[Registry]:
    """The registry that the settings name, for processes and commands of this host.

    Args:
        settings: where it is.
        key: proves who asks, for a registry of leases; the operator of this host by default.
    """
    folder, found = DirectoryRegistry(settings.run_dir), settings.registries
    if not found:
        yield folder
        return
    from mesh.registry.client import LeaseRegistry, Patience, opener
    from mesh.tls import Certificate, Credentials

    key = key or ServiceKey.load(settings.key_dir, OPERATOR)
    patience = Patience(start_s=0) if key.service == REGISTRY else None  # it is not up yet
    certificate = Certificate.of(settings, key.service)
    async with AsyncExitStack() as stack:
        tls = await stack.enter_async_context(Credentials(certificate)) if certificate else None
        registry = LeaseRegistry(found, opener(key, tls), folder=folder, patience=patience)
        yield await stack.enter_async_context(registry)


def run(
    blueprint: Blueprint, settings: Settings, place: Place, ready: Callable[[Entry], None]
) -> None:
    """Serve until SIGTERM or SIGINT, then drain. `ready` is told the entry once it serves.

    Raises:
        SeatError: no further process of the service may run here.
        OSError, SettingsError, StorageError: it cannot serve as configured.
    """
    log.configure(settings, blueprint.name)
    gc.freeze()
    with (
        seat(settings.run_dir, blueprint.name, only_one=blueprint.single) as number,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(_serve(blueprint, settings, _Seated(place=place, number=number), ready))


def label(text: str) -> str:
    """A version that somebody chose; ends the program when it cannot be one."""
    if text and not _LABEL.fullmatch(text):
        fail(
            f"--version-label {text!r} cannot be a version",
            "Use up to 64 letters, digits, '.', '-', '_' and '+'.",
            code=2,
        )
    return text


def is_free(host: str, port: int) -> bool:
    """Whether something can listen there now; port 0 always can."""
    return bound(host, port) is not None


def bound(host: str, port: int) -> int | None:
    """The port that can be bound there now; None when none can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return None
        found: int = probe.getsockname()[1]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seated:
    """A place, with the number of the process that took it."""

    place: Place
    number: int

    def port(self, host: str) -> int:
        """The first of its ports that is free now; 0 when none is."""
        return next((port for port in self.place.ports if is_free(host, port)), 0)


def _port(blueprint: Blueprint, settings: Settings, seated: _Seated) -> int:
    """The port of a process; a registry of leases listens where all look for it, or not at all."""
    known = own_port(settings) if blueprint.name == REGISTRY else None
    return known or seated.port(settings.host)


async def _serve(
    blueprint: Blueprint, settings: Settings, seated: _Seated, ready: Callable[[Entry], None]
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    key = ServiceKey.load(settings.key_dir, blueprint.name)
    async with AsyncExitStack() as stack:
        registry = await stack.enter_async_context(open_registry(settings, key))
        telemetry = await stack.enter_async_context(
            observability.install(settings, blueprint.name, registry, key)
        )
        app = await stack.enter_async_context(
            App(
                blueprint,
                settings,
                registry,
                telemetry=telemetry,
                port=_port(blueprint, settings, seated),
                replica=seated.number,
                version=seated.place.version,
            )
        )
        ready(app.entry)
        await stop.wait()
