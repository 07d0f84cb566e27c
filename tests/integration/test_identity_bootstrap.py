"""The first administrator, from the printed link to his sign-on."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import argon2
import grpc
import pytest

from centers.identity.app import BLUEPRINT, build
from engine.identity.v1 import identity_pb2 as pb
from engine.identity.v1 import identity_pb2_grpc
from mesh import Blueprint, ErrorView
from mesh.testing import Mesh

PASSWORD = "correct horse battery"


@pytest.fixture
def blueprint() -> Blueprint:
    """The centre, with password hashes that cost next to nothing."""
    cheap = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    return replace(BLUEPRINT, build=partial(build, hasher=cheap))


def identity(mesh: Mesh, token: str = "") -> Any:
    return identity_pb2_grpc.IdentityServiceStub(mesh.channel("identity", token=token))


def token_in(var: Path) -> str:
    return (var / "bootstrap-token").read_text()


def link(token: str, username: str = "root") -> pb.BootstrapRequest:
    return pb.BootstrapRequest(token=token, username=username, password=PASSWORD)


async def refusal(call: Any) -> ErrorView:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return ErrorView.from_rpc(failed.value)


async def test_the_link_makes_an_administrator_once(
    mesh: Mesh, blueprint: Blueprint, var: Path
) -> None:
    """He signs on and creates others; the link does nothing more."""
    await mesh.start(blueprint)
    token = token_in(var)
    created = (await identity(mesh).Bootstrap(link(token))).user
    assert list(created.roles) == ["administrator"]
    request = pb.CreateSessionRequest(username="root", password=PASSWORD)
    grant = (await identity(mesh).CreateSession(request)).grant
    users = await identity(mesh, grant.access_token).ListUsers(pb.ListUsersRequest())
    assert [user.username for user in users.users] == ["root"]
    error = await refusal(identity(mesh).Bootstrap(link(token, "other")))
    assert (error.code, error.reason) == (grpc.StatusCode.PERMISSION_DENIED, "BOOTSTRAP_REFUSED")


async def test_a_guessed_token_is_refused(mesh: Mesh, blueprint: Blueprint) -> None:
    """Nobody becomes administrator by guessing."""
    await mesh.start(blueprint)
    error = await refusal(identity(mesh).Bootstrap(link("guessed")))
    assert error.reason == "BOOTSTRAP_REFUSED"


async def test_the_demo_has_no_link(mesh: Mesh, blueprint: Blueprint, var: Path) -> None:
    """There the administrator exists from the start."""
    await mesh.start(blueprint, demo=True)
    assert not (var / "bootstrap-token").exists()
    assert (await refusal(identity(mesh).Bootstrap(link("any")))).reason == "BOOTSTRAP_REFUSED"


async def test_the_page_needs_nothing_from_elsewhere(mesh: Mesh, blueprint: Blueprint) -> None:
    """It is HTML that loads no other resource, posts to the platform, and speaks both languages."""
    await mesh.start(blueprint)
    page = await identity(mesh).GetBootstrapPage(pb.GetBootstrapPageRequest())
    text = page.data.decode()
    assert page.content_type == "text/html; charset=utf-8"
    assert 'fetch("/v1/bootstrap"' in text
    assert not re.findall(r"""(?:src|href|action)\s*=|url\(|@import|https?:""", text)
    assert "创建首位管理员" in text
    assert "Create the first administrator" in text
    assert "location.hash" in text
