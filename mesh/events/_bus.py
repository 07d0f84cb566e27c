"""The bus as its users see it, and the one that runs as a service."""

from __future__ import annotations

from typing import Final, Protocol

import grpc

from engine.mesh.v1.bus_pb2 import AppendRequest, PollRequest, PollResponse
from engine.mesh.v1.bus_pb2_grpc import BusServiceStub
from mesh.errors import MeshError

TIMEOUT_S: Final = 10.0
"""How long a call may take, beside what it waits for events."""

BUS_ERRORS: Final = (grpc.aio.AioRpcError, MeshError)
"""What a bus raises: by a call to the service `bus`, or by itself."""


class EventBus(Protocol):
    """Takes events in and hands them to groups of consumers, in order, at least once.

    What a group owns belongs to the service that asks. `bus.proto` says what
    the messages mean.
    """

    async def append(self, request: AppendRequest) -> None:
        """Take the events, all or none of a topic; they are durable on return.

        Raises:
            grpc.aio.AioRpcError, MeshError: the bus cannot be reached, or refuses.
        """

    async def poll(self, request: PollRequest) -> PollResponse:
        """The next events of a group, after what is settled of earlier ones has taken effect.

        Raises:
            grpc.aio.AioRpcError, MeshError: the bus cannot be reached, or refuses.
        """


class RemoteBus:
    """The service `bus`, over a channel that proves who asks."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = BusServiceStub(channel)

    async def append(self, request: AppendRequest) -> None:
        await self._stub.Append(request, timeout=TIMEOUT_S)

    async def poll(self, request: PollRequest) -> PollResponse:
        wait_s = request.wait.ToNanoseconds() / 1e9
        return await self._stub.Poll(request, timeout=wait_s + TIMEOUT_S)
