"""The servers of a round of the mesh: `python -m tests.fault.mesh_service NAME FOLDER PORT HOW`.

NAME is `registry`, or the number of a process of the ledger. Where HOW is `far`, a ledger
registers as if it were on another host, behind links; on SIGUSR1 it makes them as the file
`FOLDER/weather-NUMBER` says.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import uvloop

from cli.serve import open_registry
from mesh.app import App
from mesh.registry import DirectoryRegistry, Entry, Registry
from mesh.registry.addresses import NAME as REGISTRY
from mesh.registry.app import BLUEPRINT as REGISTRY_BLUEPRINT
from mesh.service import Blueprint, Parts, Service, Servicer
from mesh.testing import Link
from mesh.tokens import ServiceKey
from tests.fault.mesh_contract import contract, message
from tests.fault.mesh_site import LEDGER, Site
from tests.fault.victims import serving

ELSEWHERE: Final = "another-host"
WORK_S: Final = 0.03
"""How long a call takes, so that some are under way whenever a process is hurt."""
SLOW_S: Final = 0.3
"""What a slow link adds, each way."""

WEATHERS: Final[Mapping[str, Callable[[Link], None]]] = {
    "hold": Link.half_open,
    "refuse": Link.cut,
    "slow": lambda link: link.delay(SLOW_S, jitter_s=SLOW_S / 2),
    "fine": Link.mend,
}
"""What can be done to the network."""


class Ledger:
    """Notes each effect on file, before it answers: what is noted outlives a killed process."""

    def __init__(self, effects: Path, name: str) -> None:
        self._file = os.open(effects, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._answer = message("Answer")(instance=name)

    async def Read(self, _request: Any, _context: Any) -> Any:
        await asyncio.sleep(WORK_S)
        return self._answer

    async def Add(self, request: Any, _context: Any) -> Any:
        os.write(self._file, f"{request.request_id}\n".encode())
        await asyncio.sleep(WORK_S)
        return self._answer


class FarRegistry:
    """A registry in which a process says that it is on another host, behind links.

    Args:
        registry: the real one.
        stack: closes the links, after all that uses them.
        weather: what the links are like; read when it is told that it has changed.
    """

    def __init__(self, registry: Registry, stack: AsyncExitStack, weather: Path) -> None:
        self._registry = registry
        self._stack = stack
        self._weather = weather
        self._links: dict[str, Link] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._registry, name)

    async def register(self, entry: Entry) -> None:
        """Add the instance by the addresses of its links."""
        lanes = [await self._link(lane) for lane in entry.lanes if lane.startswith("tls:")]
        address = await self._link(entry.address)
        await self._registry.register(
            replace(entry, host_id=ELSEWHERE, socket="", address=address, lanes=tuple(lanes))
        )

    async def _link(self, target: str) -> str:
        if target not in self._links:
            self._links[target] = await self._stack.enter_async_context(Link(target))
        return self._links[target].address

    def change(self) -> None:
        """Make the links as the file says."""
        for link in self._links.values():
            WEATHERS[self._weather.read_text()](link)


async def _registry(site: Site) -> None:
    settings = site.settings
    folder = DirectoryRegistry(settings.run_dir)
    async with App(REGISTRY_BLUEPRINT, settings, folder, port=site.port, keys=[]):
        await _until_told()


async def _ledger(site: Site, number: str) -> None:
    settings, loop = site.settings, asyncio.get_running_loop()
    descriptor = contract()

    def build(_: Parts) -> Service:
        ledger = Ledger(site.effects, number)
        return Service(servicers=[Servicer(descriptor=descriptor, implementation=ledger)])

    key = ServiceKey.load(settings.key_dir, LEDGER)
    blueprint = Blueprint(name=LEDGER, build=build)
    async with open_registry(settings, key) as near, AsyncExitStack() as stack:
        far = FarRegistry(near, stack, site.weather(number))
        loop.add_signal_handler(signal.SIGUSR1, far.change)
        registry: Any = far if site.is_far else near
        async with App(blueprint, settings, registry, replica=int(number), keys=[]):
            await _until_told()


async def _until_told() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    serving()
    await stop.wait()


def main(name: str, *site: str) -> None:
    """Serve with uvloop."""
    where = Site.told(*site)
    where.log(name)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_registry(where) if name == REGISTRY else _ledger(where, name))


if __name__ == "__main__":
    main(*sys.argv[1:])
