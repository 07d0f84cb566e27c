"""Keys and revocations as other processes get them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import argon2
import grpc
import pytest

from centers.identity import following
from centers.identity.app import BLUEPRINT, build
from engine.identity.v1 import identity_pb2 as pb
from engine.identity.v1 import identity_pb2_grpc
from engine.mesh.v1 import trust_pb2, trust_pb2_grpc
from mesh import Blueprint, ErrorView, MeshError, MeshReason, Service, Servicer
from mesh.channel import Channel
from mesh.testing import Mesh
from mesh.tokens import TokenVerifier
from mesh.trust import TrustFeed

PASSWORD = "engine-demo"


@pytest.fixture
def blueprint() -> Blueprint:
    """The centre, with password hashes that cost next to nothing."""
    cheap = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    return replace(BLUEPRINT, build=partial(build, hasher=cheap))


@pytest.fixture
async def demo(mesh: Mesh, blueprint: Blueprint) -> Mesh:
    """A mesh with the centre, the users of the demo, and services that call it."""
    mesh.trust("customer", {"trust.watch"})
    mesh.trust("gateway", {"*"})
    await mesh.start(blueprint, demo=True)
    return mesh


def identity(mesh: Mesh, token: str = "") -> Any:
    return identity_pb2_grpc.IdentityServiceStub(mesh.channel("identity", token=token))


def trust(mesh: Mesh, caller: str = "", token: str = "") -> Any:
    channel = mesh.channel("identity", caller=caller, token=token)
    return trust_pb2_grpc.TrustServiceStub(channel)


async def sign_on(mesh: Mesh, username: str) -> str:
    request = pb.CreateSessionRequest(username=username, password=PASSWORD)
    answer: pb.CreateSessionResponse = await identity(mesh).CreateSession(request)
    return answer.grant.access_token


async def sign_out(mesh: Mesh, token: str) -> None:
    await identity(mesh, token).DeleteSession(pb.DeleteSessionRequest())


async def told(watch: Any) -> Sequence[trust_pb2.Revocation]:
    """The next sessions that a watcher hears of; signs of life are passed over."""
    async for news in watch:
        if news.revocations:
            return list(news.revocations)
    raise AssertionError("the watch has ended")


async def refusal(call: Any) -> ErrorView:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return ErrorView.from_rpc(failed.value)


@asynccontextmanager
async def fed(mesh: Mesh) -> AsyncIterator[TokenVerifier]:
    """The verifier of another process, fed by the centre."""
    verifier = TokenVerifier.load(mesh.settings.key_dir)
    async with TrustFeed(mesh.channel("identity", caller="customer"), verifier):
        yield verifier


async def until(happened: Callable[[], bool]) -> None:
    """Wait for what comes over the network."""
    async with asyncio.timeout(10):
        while not happened():  # noqa: ASYNC110 - another process's state has no event here
            await asyncio.sleep(0)


def answer(verifier: TokenVerifier, token: str) -> object:
    """The subject of the token, or the reason why it is refused."""
    try:
        return verifier.user(token).subject
    except MeshError as refused:
        return refused.reason


async def test_anybody_may_have_the_public_keys(demo: Mesh) -> None:
    """They are enough to check a token, and hold nothing private."""
    keys = (await trust(demo).GetKeySet(trust_pb2.GetKeySetRequest())).keys
    assert [(key.kty, key.crv, key.alg, key.use) for key in keys] == [
        ("OKP", "Ed25519", "Ed25519", "sig")
    ]
    verifier = TokenVerifier({"services": {}})
    verifier.set_keys([{"kty": k.kty, "crv": k.crv, "x": k.x, "kid": k.kid} for k in keys])
    assert verifier.user(await sign_on(demo, "rm001")).subject == "rm001"


async def test_the_watch_is_for_services_alone(demo: Mesh) -> None:
    """Neither strangers, nor users, nor the gateway for them may watch."""
    token = await sign_on(demo, "admin")
    for caller, sent in (("", ""), ("", token), ("gateway", token)):
        watch = trust(demo, caller, sent).WatchRevocations(trust_pb2.WatchRevocationsRequest())
        error = await refusal(anext(aiter(watch)))
        assert error.code in (
            grpc.StatusCode.UNAUTHENTICATED,
            grpc.StatusCode.PERMISSION_DENIED,
        )


async def test_a_watch_begins_at_once_and_goes_on(demo: Mesh) -> None:
    """First those in force, then each as it happens, to every watcher."""
    request = trust_pb2.WatchRevocationsRequest()
    early = aiter(trust(demo, "customer").WatchRevocations(request))
    assert not (await anext(early)).revocations
    await sign_out(demo, await sign_on(demo, "rm001"))
    (first,) = await told(early)
    late = aiter(trust(demo, "customer").WatchRevocations(request))
    assert await told(late) == [first]
    await sign_out(demo, await sign_on(demo, "rm002"))
    (second,) = await told(early)
    assert await told(late) == [second]
    assert first.session_id != second.session_id
    assert second.expire_time.seconds > 0


async def test_another_process_refuses_an_ended_session(demo: Mesh) -> None:
    """It hears of the sign-out by itself, and of no other session."""
    ended, other = await sign_on(demo, "rm001"), await sign_on(demo, "rm001")
    async with fed(demo) as verifier:
        await until(lambda: answer(verifier, ended) == "rm001")
        await sign_out(demo, ended)
        await until(lambda: answer(verifier, ended) is MeshReason.SESSION_ENDED)
        assert answer(verifier, other) == "rm001"


async def test_a_process_that_starts_later_refuses_it_too(demo: Mesh) -> None:
    """What ended before it came is told first."""
    ended = await sign_on(demo, "rm001")
    await sign_out(demo, ended)
    async with fed(demo) as verifier:
        await until(lambda: answer(verifier, ended) is MeshReason.SESSION_ENDED)


async def test_suspension_reaches_other_processes(demo: Mesh) -> None:
    """An administrator's change ends the user's tokens everywhere."""
    token, admin = await sign_on(demo, "rm001"), await sign_on(demo, "admin")
    async with fed(demo) as verifier:
        await until(lambda: answer(verifier, token) == "rm001")
        request = pb.UpdateUserRequest(username="rm001", state=pb.ACCOUNT_STATE_SUSPENDED)
        await identity(demo, admin).UpdateUser(request)
        await until(lambda: answer(verifier, token) is MeshReason.SESSION_ENDED)
        assert answer(verifier, admin) == "admin"


async def test_a_change_of_roles_reaches_other_processes(demo: Mesh) -> None:
    """The token with the rights of before ends everywhere; the next one has the new rights."""
    token, admin = await sign_on(demo, "rm001"), await sign_on(demo, "admin")
    async with fed(demo) as verifier:
        await until(lambda: answer(verifier, token) == "rm001")
        request = pb.UpdateUserRequest(username="rm001", roles=pb.RoleSet(roles=["compliance"]))
        await identity(demo, admin).UpdateUser(request)
        await until(lambda: answer(verifier, token) is MeshReason.SESSION_ENDED)
        assert verifier.user(await sign_on(demo, "rm001")).roles == ("compliance",)


async def test_another_catalogue_of_roles_ends_all_tokens_of_the_old_one(
    demo: Mesh, blueprint: Blueprint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newer process of the centre begins an epoch; the older one's tokens are worth nothing."""
    token = await sign_on(demo, "rm001")
    async with fed(demo) as verifier:
        await until(lambda: answer(verifier, token) == "rm001")
        monkeypatch.setattr(following, "catalogue_version", lambda: "another")
        newer = await demo.start(blueprint, replica=9, demo=True)
        await until(lambda: answer(verifier, token) is MeshReason.RIGHTS_CHANGED)
        channel = Channel("identity", [f"unix:{newer.entry.socket}"])
        async with channel:
            request = pb.CreateSessionRequest(username="rm001", password=PASSWORD)
            stub = identity_pb2_grpc.IdentityServiceStub(channel)
            fresh = (await stub.CreateSession(request)).grant.access_token
        assert verifier.user(fresh).subject == "rm001"


async def test_a_start_with_the_same_catalogue_begins_no_epoch(
    demo: Mesh, blueprint: Blueprint
) -> None:
    """A further process, or a restart, ends nobody's token."""
    token = await sign_on(demo, "rm001")
    await demo.start(blueprint, replica=9, demo=True)
    async with fed(demo) as verifier:
        await until(lambda: answer(verifier, token) == "rm001")


async def test_a_service_that_joins_the_centre_serves_once_it_knows_the_keys(mesh: Mesh) -> None:
    """Whoever takes the place of another refuses nobody whom that one would have served."""
    mesh.trust("late", {"trust.watch"})
    asked, tells = asyncio.Event(), asyncio.Event()

    class Centre(trust_pb2_grpc.TrustServiceServicer):
        async def GetKeySet(self, request: Any, _: Any) -> Any:
            return trust_pb2.GetKeySetResponse()

        async def PollRevocations(self, request: Any, _: Any) -> Any:
            asked.set()
            await tells.wait()
            return trust_pb2.PollRevocationsResponse()

        async def WatchRevocations(self, request: Any, _: Any) -> AsyncIterator[Any]:
            yield trust_pb2.WatchRevocationsResponse()

    descriptor = trust_pb2.DESCRIPTOR.services_by_name["TrustService"]
    servicers = [Servicer(descriptor=descriptor, implementation=Centre())]
    await mesh.start(Blueprint(name="identity", build=lambda _: Service(servicers=servicers)))
    joins = asyncio.create_task(
        mesh.start(Blueprint(name="late", build=lambda _: Service(servicers=())))
    )
    async with asyncio.timeout(30):
        await asked.wait()
    assert not mesh.registry.lookup("late")
    tells.set()
    await joins
    assert mesh.registry.lookup("late")
