"""The door of a server: the same for calls over lanes and over plain gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from engine.identity.v1 import identity_pb2, identity_pb2_grpc
from mesh.channel import Channel, Endpoint
from mesh.errors import ErrorView, MeshReason
from mesh.resilience import Resilience
from mesh.resilience.shedding import Shedder
from mesh.server import Lanes, Server
from mesh.service import Servicer
from mesh.telemetry import Meters

IDENTITY = identity_pb2.DESCRIPTOR.services_by_name["IdentityService"]
PATHS = ("plain", "stream", "unix")
MOST = 10
ONCE = Resilience(attempts=1)
"""Who is told to come again does not: the tests are about what he is told."""


class Desk:
    """Answers; a person who asks who he is waits until he is let go."""

    def __init__(self) -> None:
        self.waiting = 0
        self.is_full = asyncio.Event()
        self.go = asyncio.Event()

    async def GetMe(self, request: Any, context: Any) -> Any:
        self.waiting += 1
        if self.waiting == MOST:
            self.is_full.set()
        await self.go.wait()
        self.waiting -= 1
        return identity_pb2.GetMeResponse()

    async def CreateSession(self, request: Any, context: Any) -> Any:
        return identity_pb2.CreateSessionResponse()

    def __getattr__(self, name: str) -> Any:
        if not name[0].isupper():
            raise AttributeError(name)

        async def serve(request: Any, context: Any) -> None: ...

        return serve


class Served:
    """A server whose pressure a test sets, and a channel to it."""

    def __init__(self, channel: Channel, shedder: Shedder, desk: Desk) -> None:
        self.channel = channel
        self.stub = identity_pb2_grpc.IdentityServiceStub(channel)
        self.shedder = shedder
        self.desk = desk

    async def sign_on(self) -> None:
        await self.stub.CreateSession(identity_pb2.CreateSessionRequest(), timeout=5)

    async def ask(self) -> None:
        await self.stub.GetMe(identity_pb2.GetMeRequest(), timeout=5)


@asynccontextmanager
async def served(path: str, folder: Path) -> AsyncIterator[Served]:
    desk, shedder = Desk(), Shedder(MOST, 0.1, meters=Meters(), chance=lambda: 0.0)
    servicers = [Servicer(descriptor=IDENTITY, implementation=desk)]
    lanes = Lanes(ports=[(f"unix:{folder}/s.lane", None)])
    server = Server(servicers, [], ["127.0.0.1:0"], lanes=lanes, drain_s=0, shedder=shedder)
    async with server:
        endpoint = Endpoint(f"127.0.0.1:{server.ports[0]}", (f"unix:{folder}/s.lane",))
        carriers = () if path == "plain" else (path,)
        async with Channel("identity", [endpoint], carriers=carriers, resilience=ONCE) as channel:
            await channel.channel_ready()
            yield Served(channel, shedder, desk)


@pytest.mark.parametrize("path", PATHS)
async def test_under_pressure_people_still_sign_on(path: str, tmp_path: Path) -> None:
    """Others are told to come again, and that it was not done; health answers as ever."""
    async with served(path, tmp_path) as here:
        here.desk.go.set()
        await here.ask()
        here.shedder.pressure = 2.0
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await here.ask()
        view = ErrorView.from_rpc(caught.value)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (view.reason, view.retry_after_s) == (MeshReason.OVERLOADED.name, 1.0)
        await here.sign_on()
        here.shedder.pressure = 3.0
        with pytest.raises(grpc.aio.AioRpcError):
            await here.sign_on()
        health = health_pb2_grpc.HealthStub(here.channel)
        await health.Check(health_pb2.HealthCheckRequest(), timeout=5)


@pytest.mark.parametrize("path", PATHS)
async def test_calls_under_way_are_counted_whichever_way_they_came(
    path: str, tmp_path: Path
) -> None:
    """At the bound the next one is refused; when they have ended it is served."""
    async with served(path, tmp_path) as here:
        asked = [asyncio.ensure_future(here.ask()) for _ in range(MOST)]
        async with asyncio.timeout(5):
            await here.desk.is_full.wait()
        with pytest.raises(grpc.aio.AioRpcError):
            await here.ask()
        await here.sign_on()
        here.desk.go.set()
        await asyncio.gather(*asked)
        await here.ask()
