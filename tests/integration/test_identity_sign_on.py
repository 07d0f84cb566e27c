"""Signing on and off over a real channel, through the whole chain."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import argon2
import grpc
import pytest

from centers.identity.app import BLUEPRINT, build
from engine.identity.v1 import identity_pb2 as pb
from engine.identity.v1 import identity_pb2_grpc
from engine.mesh.v1 import policy_pb2
from mesh import Blueprint, ErrorView
from mesh.clock import ManualClock
from mesh.testing import Mesh

PASSWORD = "engine-demo"
NEW_PASSWORD = "correct horse battery"


@pytest.fixture
def blueprint() -> Blueprint:
    """The centre, with password hashes that cost next to nothing."""
    cheap = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    return replace(BLUEPRINT, build=partial(build, hasher=cheap))


@pytest.fixture
async def demo(mesh: Mesh, blueprint: Blueprint) -> Mesh:
    """A mesh with the centre and the users of the demo."""
    await mesh.start(blueprint, demo=True)
    return mesh


def identity(mesh: Mesh, token: str = "") -> Any:
    return identity_pb2_grpc.IdentityServiceStub(mesh.channel("identity", token=token))


async def sign_on(mesh: Mesh, username: str, password: str = PASSWORD) -> pb.TokenGrant:
    request = pb.CreateSessionRequest(username=username, password=password)
    answer: pb.CreateSessionResponse = await identity(mesh).CreateSession(request)
    return answer.grant


async def refresh(mesh: Mesh, grant: pb.TokenGrant) -> pb.TokenGrant:
    request = pb.RefreshSessionRequest(refresh_token=grant.refresh_token)
    answer: pb.RefreshSessionResponse = await identity(mesh).RefreshSession(request)
    return answer.grant


async def refusal(call: Any) -> ErrorView:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return ErrorView.from_rpc(failed.value)


async def test_a_token_opens_what_the_roles_allow(demo: Mesh) -> None:
    """A relationship manager sees himself, and not the users."""
    grant = await sign_on(demo, "rm001")
    assert (grant.token_type, grant.expires_in) == ("Bearer", 300)
    me = (await identity(demo, grant.access_token).GetMe(pb.GetMeRequest())).user
    assert (me.username, me.staff_id, me.branch_id) == ("rm001", 1, 1)
    assert me.data_scope == policy_pb2.SCOPE_OWN_BOOK
    assert "customer.read" in me.permissions
    denied = await refusal(identity(demo, grant.access_token).ListUsers(pb.ListUsersRequest()))
    assert (denied.code, denied.metadata) == (
        grpc.StatusCode.PERMISSION_DENIED,
        {"permission": "identity.read"},
    )


async def test_a_wrong_password_says_nothing_about_the_user(demo: Mesh) -> None:
    """An unknown user's status is, byte for byte, a known one's."""
    known = await refusal(sign_on(demo, "rm001", "wrong horse"))
    unknown = await refusal(sign_on(demo, "nobody", "wrong horse"))
    assert known == unknown
    assert (known.code, known.reason) == (grpc.StatusCode.UNAUTHENTICATED, "SIGN_ON_FAILED")
    assert known.titles["zh-CN"]
    assert known.next_step


async def test_a_broken_rule_of_the_contract_is_named(demo: Mesh) -> None:
    """An empty password is refused before anything is looked up."""
    error = await refusal(sign_on(demo, "rm001", ""))
    assert (error.reason, error.violations[0].field) == ("INVALID_ARGUMENT", "password")


async def test_guessing_closes_the_name_for_fifteen_minutes(
    mesh: Mesh, blueprint: Blueprint
) -> None:
    """The answer says when to come back; then the right password works again."""
    clock = ManualClock(datetime.now(UTC))
    await mesh.start(blueprint, clock=clock, demo=True)
    for _ in range(10):
        assert (await refusal(sign_on(mesh, "rm001", "wrong"))).reason == "SIGN_ON_FAILED"
    closed = await refusal(sign_on(mesh, "rm001"))
    assert (closed.code, closed.reason) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "TOO_MANY_ATTEMPTS",
    )
    assert closed.retry_after_s == 15 * 60
    assert await sign_on(mesh, "rm002")
    clock.advance(15 * 60)
    assert await sign_on(mesh, "rm001")


async def test_an_expired_access_token_is_renewed(mesh: Mesh, blueprint: Blueprint) -> None:
    """The caller is told that it expired, and goes on in the same session."""
    clock = ManualClock(datetime.now(UTC))
    await mesh.start(blueprint, clock=clock, demo=True)
    grant = await sign_on(mesh, "rm001")
    clock.advance(303)
    expired = await refusal(identity(mesh, grant.access_token).GetMe(pb.GetMeRequest()))
    assert expired.reason == "TOKEN_EXPIRED"
    renewed = await refresh(mesh, grant)
    assert await identity(mesh, renewed.access_token).GetMe(pb.GetMeRequest())


async def test_a_session_ends_when_its_time_is_over(mesh: Mesh, blueprint: Blueprint) -> None:
    """The setting decides how long it can be renewed."""
    clock = ManualClock(datetime.now(UTC))
    await mesh.start(blueprint, clock=clock, demo=True, session_ttl_s=60, token_ttl_s=300)
    grant = await sign_on(mesh, "rm001")
    assert grant.expires_in == 60
    clock.advance(60)
    assert (await refusal(refresh(mesh, grant))).reason == "REFRESH_TOKEN_INVALID"


async def test_a_stolen_refresh_token_ends_the_session(demo: Mesh) -> None:
    """Whoever of thief and robbed comes second, neither goes on."""
    grant = await sign_on(demo, "rm001")
    stolen = await refresh(demo, grant)
    reused = await refusal(refresh(demo, grant))
    assert (reused.code, reused.reason) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "REFRESH_TOKEN_INVALID",
    )
    ended = await refusal(identity(demo, stolen.access_token).GetMe(pb.GetMeRequest()))
    assert ended.reason == "SESSION_ENDED"
    assert (await refusal(refresh(demo, stolen))).reason == "REFRESH_TOKEN_INVALID"


async def test_signing_out_stops_the_tokens(demo: Mesh) -> None:
    """The session's tokens are refused from the answer on; another session goes on."""
    here, there = await sign_on(demo, "rm001"), await sign_on(demo, "rm001")
    caller = identity(demo, here.access_token)
    assert (await caller.DeleteSession(pb.DeleteSessionRequest())).ended == 1
    assert (await refusal(caller.GetMe(pb.GetMeRequest()))).reason == "SESSION_ENDED"
    assert (await refusal(refresh(demo, here))).reason == "REFRESH_TOKEN_INVALID"
    assert await identity(demo, there.access_token).GetMe(pb.GetMeRequest())


async def test_signing_out_everywhere_stops_all_sessions(demo: Mesh) -> None:
    """One call from one device ends the others, too."""
    grants = [await sign_on(demo, "rm001") for _ in range(3)]
    request = pb.DeleteSessionRequest(all_sessions=True)
    assert (await identity(demo, grants[0].access_token).DeleteSession(request)).ended == 3
    for grant in grants:
        ended = await refusal(identity(demo, grant.access_token).GetMe(pb.GetMeRequest()))
        assert ended.reason == "SESSION_ENDED"


async def test_signing_out_needs_a_sign_on(demo: Mesh) -> None:
    """Without a token there is nobody to sign out."""
    error = await refusal(identity(demo).DeleteSession(pb.DeleteSessionRequest()))
    assert error.code is grpc.StatusCode.UNAUTHENTICATED


async def test_a_changed_password_replaces_the_old_one(demo: Mesh) -> None:
    """Other sessions end, the one that changed it goes on."""
    here, there = await sign_on(demo, "rm001"), await sign_on(demo, "rm001")
    caller = identity(demo, here.access_token)
    await caller.ChangePassword(
        pb.ChangePasswordRequest(old_password=PASSWORD, new_password=NEW_PASSWORD)
    )
    ended = await refusal(identity(demo, there.access_token).GetMe(pb.GetMeRequest()))
    assert ended.reason == "SESSION_ENDED"
    assert await caller.GetMe(pb.GetMeRequest())
    assert (await refusal(sign_on(demo, "rm001"))).reason == "SIGN_ON_FAILED"
    assert await sign_on(demo, "rm001", NEW_PASSWORD)


@pytest.mark.parametrize(
    ("old", "new", "code", "reason"),
    [
        ("wrong", NEW_PASSWORD, grpc.StatusCode.PERMISSION_DENIED, "PASSWORD_WRONG"),
        (PASSWORD, "too short", grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT"),
    ],
)
async def test_a_password_change_can_be_refused(
    demo: Mesh, old: str, new: str, code: grpc.StatusCode, reason: str
) -> None:
    """The present password must be known, the new one long enough; the caller stays signed on."""
    caller = identity(demo, (await sign_on(demo, "rm001")).access_token)
    request = pb.ChangePasswordRequest(old_password=old, new_password=new)
    error = await refusal(caller.ChangePassword(request))
    assert (error.code, error.reason) == (code, reason)
    assert await caller.GetMe(pb.GetMeRequest())


async def test_nothing_secret_or_personal_is_logged(
    demo: Mesh, caplog: pytest.LogCaptureFixture
) -> None:
    """Sign-ons, failures, theft and closed names leave no name, password or token in the log."""
    caplog.set_level("DEBUG")
    grant = await sign_on(demo, "rm001")
    renewed = await refresh(demo, grant)
    await refusal(refresh(demo, grant))
    for _ in range(11):
        await refusal(sign_on(demo, "rm002", "wrong horse"))
    logged = " ".join(str(record.__dict__) for record in caplog.records)
    assert "refresh_reused" in logged
    tokens = [text for g in (grant, renewed) for text in (g.access_token, g.refresh_token)]
    for secret in ("rm001", "rm002", PASSWORD, "wrong horse", *tokens):
        assert secret not in logged
