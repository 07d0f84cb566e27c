"""The bus on Redis Streams: each topic a stream, each group a consumer group of it.

Redis 7 or later, one or a cluster, with `appendonly yes`, `appendfsync always` and
`maxmemory-policy noeviction`. With `everysec` it may answer before it has written anything,
while the disk is busy: what it acknowledged is lost when its process is killed then.
"""

from __future__ import annotations

from datetime import timedelta

from engine.mesh.v1.bus_pb2 import AppendRequest, PollRequest, PollResponse
from mesh.bus.wire import fill, stamped, to_ask
from mesh.interceptors.validation import check
from mesh.redis._bus_admin import RedisView
from mesh.redis._bus_log import BusOptions, RedisLog
from mesh.redis._client import RedisClient
from mesh.settings import Settings
from mesh.tokens import TokenVerifier

__all__ = ["BusOptions", "RedisBus", "RedisLog", "RedisView", "bus_options"]


class RedisBus:
    """An `EventBus` on Redis Streams, as one service sees it.

    Args:
        redis: reaches Redis.
        service: who asks; owns the groups that are asked for.
        options: how the bus behaves.
    """

    def __init__(self, redis: RedisClient, service: str, options: BusOptions | None = None) -> None:
        self._service = service
        self._log = RedisLog(redis, options or BusOptions())

    async def append(self, request: AppendRequest) -> None:
        check(request)
        await self._log.append(self._service, [stamped(e, self._service) for e in request.events])

    async def poll(self, request: PollRequest) -> PollResponse:
        check(request)
        found = await self._log.poll(to_ask(request, self._service))
        response = PollResponse(active=found is not None)
        for logged in found or ():
            fill(response.events.add(), logged)
        return response


def bus_options(settings: Settings, verifier: TokenVerifier) -> BusOptions:
    """The options that the settings name."""
    return BusOptions(
        lease_s=settings.bus_lease_s,
        kept=timedelta(days=settings.bus_retention_days),
        services=verifier.services,
    )
