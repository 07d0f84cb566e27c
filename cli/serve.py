"""Runs one service in this process until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import uvloop

import observability
from mesh import log
from mesh.app import App
from mesh.registry import DirectoryRegistry, Entry, Registry
from mesh.service import Blueprint
from mesh.settings import Settings
from mesh.tokens import ServiceKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a process of a service goes.

    Args:
        port: its TCP port; 0 picks one.
        replica: its number among the processes of the service on this host.
    """

    port: int = 0
    replica: int = 1


@asynccontextmanager
async def open_registry(settings: Settings) -> AsyncIterator[Registry]:
    """The registry that the settings name, for processes and commands of this host."""
    yield DirectoryRegistry(settings.run_dir)


def run(
    blueprint: Blueprint, settings: Settings, place: Place, ready: Callable[[Entry], None]
) -> None:
    """Serve until SIGTERM or SIGINT, then drain. `ready` is told the entry once it serves."""
    log.configure(settings, blueprint.name)
    gc.freeze()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(blueprint, settings, place, ready))


async def _serve(
    blueprint: Blueprint, settings: Settings, place: Place, ready: Callable[[Entry], None]
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    key = ServiceKey.load(settings.key_dir, blueprint.name)
    async with AsyncExitStack() as stack:
        registry = await stack.enter_async_context(open_registry(settings))
        telemetry = await stack.enter_async_context(
            observability.install(settings, blueprint.name, registry, key)
        )
        app = await stack.enter_async_context(
            App(
                blueprint,
                settings,
                registry,
                telemetry=telemetry,
                port=place.port,
                replica=place.replica,
            )
        )
        ready(app.entry)
        await stop.wait()
