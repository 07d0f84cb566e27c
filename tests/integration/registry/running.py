"""A registry for tests that can be stopped and started again, and clients of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import grpc

from mesh.app import App
from mesh.registry import DirectoryRegistry
from mesh.registry.app import BLUEPRINT
from mesh.registry.client import LeaseRegistry, Patience, opener
from mesh.service import RIGHTS_OF_ALL
from mesh.testing import Mesh
from mesh.tokens import ServiceKey

LEASE_S = 2.0
QUICK = Patience(keepalive_s=0.1, silent_s=2.0, start_s=5.0)


class RunningRegistry:
    """A registry of leases, in memory by default, at one address whatever happens to it."""

    def __init__(self, mesh: Mesh, *, replica: int = 1, **settings: Any) -> None:
        known: dict[str, Any] = {
            "registry": "127.0.0.1:1",  # not the folder; where it is, it finds out itself
            "registry_lease_s": LEASE_S,
            "registry_renew_s": 0.2,
            "redis_url": "",
            "bus": "embedded",
            "sequencer_log": "sql",
        }
        self._mesh = mesh
        self._settings = replace(mesh.settings, **known | settings)
        self._folder = DirectoryRegistry(mesh.settings.run_dir)
        self._replica = replica
        self._port = 0
        self._app: App | None = None
        for service in ("registry", "customer", "action"):
            mesh.trust(service, RIGHTS_OF_ALL)
        mesh.trust("operator", {"registry.route", "registry.watch"})

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Serve; what it knew before is gone."""
        app = App(
            BLUEPRINT,
            self._settings,
            self._folder,
            port=self._port,
            replica=self._replica,
            keys=[],
        )
        await app.__aenter__()
        self._app, self._port = app, int(app.entry.address.rpartition(":")[2])

    async def stop(self) -> None:
        """Serve no longer."""
        if self._app is not None:
            app, self._app = self._app, None
            await app.__aexit__(None, None, None)

    def opener(self, caller: str) -> Callable[[str], grpc.aio.Channel]:
        """Opens channels that a service has proven."""
        return opener(ServiceKey.load(self._mesh.settings.key_dir, caller))

    def client(self, caller: str, *addresses: str, **options: Any) -> LeaseRegistry:
        """The registry as a service uses it; to be entered."""
        known: dict[str, Any] = {"patience": QUICK, "jitter": lambda: 0.0}
        return LeaseRegistry(addresses or [self.address], self.opener(caller), **known | options)


async def until(holds: Callable[[], bool]) -> None:
    """Return once it holds; half a minute is too long."""
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - tables have no events
            await asyncio.sleep(0.01)
