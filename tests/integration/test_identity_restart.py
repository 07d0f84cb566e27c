"""What the centre still knows after it was killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from engine.identity.v1 import identity_pb2 as pb
from engine.identity.v1 import identity_pb2_grpc
from engine.mesh.v1 import trust_pb2, trust_pb2_grpc
from mesh import ErrorView
from mesh.testing import Mesh

PASSWORD = "engine-demo"

SERVE = """
import asyncio, sys
from dataclasses import replace
from functools import partial
from pathlib import Path
import argon2
from centers.identity.app import BLUEPRINT, build
from mesh import App, DirectoryRegistry, Settings

async def serve():
    settings = Settings(var=Path(sys.argv[1]), port_base=0, demo=True)
    cheap = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    blueprint = replace(BLUEPRINT, build=partial(build, hasher=cheap))
    async with App(blueprint, settings, DirectoryRegistry(settings.run_dir)):
        print("serving", flush=True)
        await asyncio.Event().wait()

asyncio.run(serve())
"""


@contextmanager
def serving(var: Path) -> Iterator[subprocess.Popen[str]]:
    """The centre in a process of its own, killed at the end."""
    command = [sys.executable, "-c", SERVE, str(var)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "serving\n"
        try:
            yield process
        finally:
            process.kill()
    assert process.returncode == -signal.SIGKILL


def identity(mesh: Mesh, token: str = "") -> Any:
    return identity_pb2_grpc.IdentityServiceStub(mesh.channel("identity", token=token))


async def refusal(call: Any) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return ErrorView.from_rpc(failed.value).reason


async def sign_on(mesh: Mesh, username: str) -> pb.TokenGrant:
    request = pb.CreateSessionRequest(username=username, password=PASSWORD)
    answer: pb.CreateSessionResponse = await identity(mesh).CreateSession(request)
    return answer.grant


async def test_sessions_and_their_ends_survive_a_kill(mesh: Mesh, var: Path) -> None:
    """Open sessions go on, ended ones stay ended, used refresh tokens stay used."""
    mesh.trust("identity", set())
    mesh.trust("customer", {"trust.watch"})
    with serving(var):
        kept, ended = await sign_on(mesh, "rm001"), await sign_on(mesh, "rm002")
        used = await sign_on(mesh, "bm001")
        refresh = pb.RefreshSessionRequest(refresh_token=used.refresh_token)
        await identity(mesh).RefreshSession(refresh)
        await identity(mesh, ended.access_token).DeleteSession(pb.DeleteSessionRequest())
    with serving(var):
        me = await identity(mesh, kept.access_token).GetMe(pb.GetMeRequest())
        assert me.user.username == "rm001"
        again = pb.RefreshSessionRequest(refresh_token=kept.refresh_token)
        assert (await identity(mesh).RefreshSession(again)).grant.access_token
        refused = identity(mesh, ended.access_token).GetMe(pb.GetMeRequest())
        assert await refusal(refused) == "SESSION_ENDED"
        assert await refusal(identity(mesh).RefreshSession(refresh)) == "REFRESH_TOKEN_INVALID"
        trust = trust_pb2_grpc.TrustServiceStub(mesh.channel("identity", caller="customer"))
        watch: Any = trust.WatchRevocations(trust_pb2.WatchRevocationsRequest())
        block = await anext(aiter(watch))
        assert len(block.revocations) == 2
