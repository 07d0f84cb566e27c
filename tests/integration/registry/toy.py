"""A service whose processes tell their names, so that tests see where calls arrive."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from engine.mesh.v1 import trust_pb2
from mesh.app import App
from mesh.errors import MeshError, MeshReason
from mesh.service import Blueprint, Service, Servicer
from mesh.testing import Mesh

TRUST = trust_pb2.DESCRIPTOR.services_by_name["TrustService"]


class Keys:
    """Answers its own name; fails when it is told to."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.fails = False
        self.calls = 0

    async def GetKeySet(self, request: Any, context: Any) -> trust_pb2.GetKeySetResponse:
        self.calls += 1
        if self.fails:
            raise MeshError(MeshReason.UNAVAILABLE)
        return trust_pb2.GetKeySetResponse(keys=[trust_pb2.JsonWebKey(kid=self.name)])

    def __getattr__(self, name: str) -> Any:
        """The other methods of the contract, which no test calls."""
        if not name[0].isupper():
            raise AttributeError(name)
        return self.GetKeySet


@asynccontextmanager
async def instance(
    mesh: Mesh, keys: Keys, registry: Any, *, replica: int = 1, **entry: Any
) -> AsyncIterator[App]:
    """One process of `customer`, as far as clients can see."""
    served = Servicer(descriptor=TRUST, implementation=keys)
    blueprint = Blueprint(name="customer", build=lambda _: Service(servicers=[served]))
    app = App(blueprint, mesh.settings, Renamed(registry, entry), replica=replica, keys=[])
    async with app:
        yield app


class Renamed:
    """A registry in which an instance says other things of itself."""

    def __init__(self, registry: Any, fields: dict[str, Any]) -> None:
        self._registry = registry
        self._fields = fields

    def __getattr__(self, name: str) -> Any:
        return getattr(self._registry, name)

    async def register(self, entry: Any) -> None:
        await self._registry.register(replace(entry, **self._fields))
