"""The channels of one service to others."""

from __future__ import annotations

import grpc

from mesh import context as wire
from mesh.channel import Channel, registered
from mesh.host import host_id
from mesh.lane.dial import Tls
from mesh.registry import Registry
from mesh.resilience import Counts, Resilience
from mesh.telemetry import Meters
from mesh.tokens import ServiceKey


class Channels:
    """The channels of one service to others, one for each name, opened when first asked for."""

    def __init__(
        self,
        registry: Registry,
        key: ServiceKey,
        tls: Tls | None = None,
        *,
        resilience: Resilience | None = None,
        meters: Meters | None = None,
    ) -> None:
        self._registry = registry
        self._key = key
        self._tls = tls
        self._resilience = resilience
        self._counts = Counts(meters)
        self._open: dict[str, Channel] = {}
        if meters is not None:
            meters.gauge("mesh.ejected", lambda: self.ejected)

    def __call__(self, service: str) -> grpc.aio.Channel:
        if service not in self._open:
            endpoints = registered(self._registry, service, host_id())
            self._open[service] = Channel(
                service,
                endpoints,
                self._proofs,
                prove=self._key.sign,
                tls=self._tls,
                resilience=self._resilience,
                counts=self._counts,
            )
        return self._open[service]

    @property
    def ejected(self) -> int:
        """Endpoints that get no calls for their failures."""
        return sum(channel.balancer.ejected for channel in self._open.values())

    async def close(self) -> None:
        """Close them all."""
        for channel in self._open.values():
            await channel.close()

    def _proofs(self) -> wire.Metadata:
        return ((wire.CALLER, self._key.token()),)
