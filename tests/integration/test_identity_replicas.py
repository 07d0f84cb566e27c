"""Two processes of the centre on one database: what one does the other knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import argon2
import grpc
import pytest

from centers.identity.app import BLUEPRINT, build
from centers.identity.lockout import MAX_FAILURES
from engine.identity.v1 import identity_pb2 as pb
from engine.identity.v1 import identity_pb2_grpc
from engine.mesh.v1 import trust_pb2, trust_pb2_grpc
from mesh import App, Blueprint, ErrorView
from mesh.channel import Channel, Proofs, bearer, no_proofs
from mesh.context import CALLER
from mesh.testing import Mesh
from mesh.tokens import ServiceKey

PASSWORD = "engine-demo"


@pytest.fixture
def blueprint() -> Blueprint:
    """The centre, with password hashes that cost next to nothing."""
    cheap = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    return replace(BLUEPRINT, build=partial(build, hasher=cheap))


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process of the centre, and nothing but it."""

    app: App
    mesh: Mesh
    stack: AsyncExitStack

    def identity(self, token: str = "") -> Any:
        channel = self._channel(bearer(token) if token else no_proofs)
        return identity_pb2_grpc.IdentityServiceStub(channel)

    def trust(self) -> Any:
        key = ServiceKey.load(self.mesh.settings.key_dir, "customer")
        return trust_pb2_grpc.TrustServiceStub(self._channel(lambda: ((CALLER, key.token()),)))

    async def sign_on(self, username: str, password: str = PASSWORD) -> str:
        request = pb.CreateSessionRequest(username=username, password=password)
        answer: pb.CreateSessionResponse = await self.identity().CreateSession(request)
        return answer.grant.access_token

    def _channel(self, proofs: Proofs) -> Channel:
        channel = Channel("identity", lambda: [f"unix:{self.app.entry.socket}"], proofs)
        self.stack.push_async_callback(channel.close)
        return channel


Pair = tuple[Process, Process]


@pytest.fixture
async def pair(mesh: Mesh, blueprint: Blueprint) -> AsyncIterator[Pair]:
    """Two processes with the users of the demo."""
    mesh.trust("customer", {"trust.watch"})
    apps = [await mesh.start(blueprint, replica=number, demo=True) for number in (1, 2)]
    async with AsyncExitStack() as stack:
        one, two = (Process(app=app, mesh=mesh, stack=stack) for app in apps)
        yield one, two


async def refusal(call: Any) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return ErrorView.from_rpc(failed.value).reason


async def told(watch: Any) -> Sequence[trust_pb2.Revocation]:
    """The next sessions that a watcher hears of; signs of life are passed over."""
    async for news in watch:
        if news.revocations:
            return list(news.revocations)
    raise AssertionError("the watch has ended")


async def reason_of(process: Process, token: str) -> str:
    """Why the token is refused; empty while it is not."""
    try:
        await process.identity(token).GetMe(pb.GetMeRequest())
    except grpc.aio.AioRpcError as error:
        return ErrorView.from_rpc(error).reason
    return ""


async def test_a_watcher_of_one_hears_what_the_other_ends(pair: Pair) -> None:
    """Each end once, wherever it was asked for."""
    here, there = pair
    watch = aiter(here.trust().WatchRevocations(trust_pb2.WatchRevocationsRequest()))
    assert not (await anext(watch)).revocations
    ended = []
    for process in (there, here, there):
        token = await process.sign_on("rm001")
        await process.identity(token).DeleteSession(pb.DeleteSessionRequest())
        ended += [one.session_id for one in await told(watch)]
    assert len(ended) == len({*ended}) == 3


async def test_both_refuse_a_session_that_ended(pair: Pair) -> None:
    """The one that did not end it does so within moments."""
    here, there = pair
    token = await here.sign_on("rm001")
    await there.identity(token).GetMe(pb.GetMeRequest())
    await here.identity(token).DeleteSession(pb.DeleteSessionRequest())
    async with asyncio.timeout(5):
        while (reason := await reason_of(there, token)) == "":
            pass
    assert reason == "SESSION_ENDED"


async def test_a_refresh_token_works_once_at_either(pair: Pair) -> None:
    """Used at one and then at the other, it ends the session."""
    here, there = pair
    request = pb.CreateSessionRequest(username="rm001", password=PASSWORD)
    grant = (await here.identity().CreateSession(request)).grant
    used = pb.RefreshSessionRequest(refresh_token=grant.refresh_token)
    fresh = (await there.identity().RefreshSession(used)).grant
    assert await refusal(here.identity().RefreshSession(used)) == "REFRESH_TOKEN_INVALID"
    stolen = pb.RefreshSessionRequest(refresh_token=fresh.refresh_token)
    assert await refusal(there.identity().RefreshSession(stolen)) == "REFRESH_TOKEN_INVALID"


async def test_guesses_at_both_are_counted_together(pair: Pair) -> None:
    """Ten in all close the name at both."""
    here, there = pair
    for number in range(MAX_FAILURES):
        process = pair[number % 2]
        assert await refusal(process.sign_on("rm001", "a guess")) == "SIGN_ON_FAILED"
    for process in (here, there):
        assert await refusal(process.sign_on("rm001")) == "TOO_MANY_ATTEMPTS"


async def test_a_password_is_changed_at_either(pair: Pair) -> None:
    """A wrong old password is refused and counted, and the right one still changes it."""
    here, there = pair
    token = await here.sign_on("rm001")
    wrong = pb.ChangePasswordRequest(old_password="a guess", new_password="correct horse battery")
    assert await refusal(there.identity(token).ChangePassword(wrong)) == "PASSWORD_WRONG"
    right = pb.ChangePasswordRequest(old_password=PASSWORD, new_password="correct horse battery")
    await there.identity(token).ChangePassword(right)
    assert await here.sign_on("rm001", "correct horse battery")


async def test_the_link_of_a_start_with_two_processes_works(
    mesh: Mesh, blueprint: Blueprint, var: Path
) -> None:
    """The file holds the token of which the database has the digest, at whichever process."""
    apps = await asyncio.gather(*(mesh.start(blueprint, replica=number) for number in (1, 2)))
    async with AsyncExitStack() as stack:
        process = Process(app=apps[0], mesh=mesh, stack=stack)
        token = (var / "bootstrap-token").read_text()
        request = pb.BootstrapRequest(token=token, username="root", password="correct horse")
        assert (await process.identity().Bootstrap(request)).user.username == "root"
