"""The users of the demo, and what happens to them outside it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime

import argon2
import numpy as np
import pytest

from bank.config import Config
from bank.inflow import ROBOT_ID
from bank.organization import Headcount
from centers.identity import demo
from centers.identity.app import Centre, assemble, prepared
from centers.identity.domain import User, UserChange
from centers.identity.errors import IdentityReason
from centers.identity.roles import ROLES, rights_of
from engine.mesh.v1 import policy_pb2
from mesh.errors import MeshError, MeshReason
from mesh.service import Parts


@pytest.fixture
def in_demo(parts: Parts) -> Parts:
    return replace(parts, settings=replace(parts.settings, demo=True))


async def test_the_demo_has_a_user_for_each_duty(
    in_demo: Parts, cheap: argon2.PasswordHasher
) -> None:
    """All of them can sign on with the password that everybody knows."""
    centre = assemble(in_demo, cheap)
    async with centre.passwords, prepared(centre, in_demo):
        for user in demo.demo_users(in_demo.clock.now()):
            grant = await centre.sign_on.sign_on(user.username, demo.PASSWORD)
            assert in_demo.verifier.user(grant.access_token).roles == user.roles


def test_staff_and_branches_are_those_of_the_synthetic_bank() -> None:
    """Relationship manager i works in branch i; direct operations work at head office."""
    users = {user.username: user for user in demo.demo_users(datetime(2026, 1, 1, tzinfo=UTC))}
    places = {name: (user.staff_id, user.branch_id) for name, user in users.items()}
    organization = Headcount.of(Config(), 10_000)
    managers = np.arange(1, organization.managers + 1)
    branches = organization.branch_of(managers).tolist()
    for number, branch in zip(managers.tolist(), branches, strict=True):
        assert places[f"rm{number:03}"] == (number, branch)
    for number in range(organization.agents):
        assert places[f"do{number + 1:03}"] == (organization.first_agent + number, 0)
    for branch in range(1, organization.branches + 1):
        assert places[f"bm{branch:03}"] == (0, branch)
    assert places["bot001"] == (ROBOT_ID, 0)
    assert all(role in ROLES for user in users.values() for role in user.roles)


def test_the_load_tester_takes_ids_and_reads_one_book() -> None:
    """His rights are those that the load tests need."""
    users = {user.username: user for user in demo.demo_users(datetime(2026, 1, 1, tzinfo=UTC))}
    rights = rights_of(users["loadtest"].roles)
    assert {"sequencer.lease", "sequencer.read", "customer.read"} <= rights.permissions
    assert rights.data_scope == policy_pb2.SCOPE_OWN_BOOK


async def test_a_second_start_changes_nothing(in_demo: Parts, cheap: argon2.PasswordHasher) -> None:
    """What somebody changed in the demo stays as it is."""
    centre = assemble(in_demo, cheap)
    async with centre.passwords:
        async with prepared(centre, in_demo):
            await centre.accounts.update_user("rm001", UserChange(branch_id=5))
            before = await centre.accounts.users("", 100)
        async with prepared(centre, in_demo):
            assert await centre.accounts.users("", 100) == before


async def test_a_real_user_of_a_demo_name_keeps_his_password(
    in_demo: Parts, cheap: argon2.PasswordHasher, add: Callable[..., Awaitable[User]]
) -> None:
    """The demo takes over no account."""
    await add("admin", roles=("administrator",))
    centre = assemble(in_demo, cheap)
    async with centre.passwords, prepared(centre, in_demo):
        with pytest.raises(MeshError) as refused:
            await centre.sign_on.sign_on("admin", demo.PASSWORD)
        assert refused.value.reason is IdentityReason.SIGN_ON_FAILED
        assert await centre.sign_on.sign_on("admin", "correct horse")


async def test_outside_the_demo_its_users_are_refused(
    parts: Parts, in_demo: Parts, cheap: argon2.PasswordHasher, caplog: pytest.LogCaptureFixture
) -> None:
    """Their sessions end, their known password opens nothing, and the log says so."""
    there = assemble(in_demo, cheap)
    async with there.passwords, prepared(there, in_demo):
        grant = await there.sign_on.sign_on("admin", demo.PASSWORD)
    here = assemble(parts, cheap)
    async with here.passwords, prepared(here, parts):
        with pytest.raises(MeshError) as refused:
            await here.sign_on.sign_on("admin", demo.PASSWORD)
        assert refused.value.reason is IdentityReason.SIGN_ON_FAILED
        with pytest.raises(MeshError) as refused:
            parts.verifier.user(grant.access_token)
        assert refused.value.reason is MeshReason.SESSION_ENDED
        with pytest.raises(MeshError) as refused:
            await here.sign_on.refresh(grant.refresh_token)
        assert refused.value.reason is IdentityReason.REFRESH_TOKEN_INVALID
    assert "demo_users_refused" in caplog.messages


async def test_a_platform_that_never_was_a_demo_does_not_speak_of_one(
    parts: Parts, centre: Centre, caplog: pytest.LogCaptureFixture
) -> None:
    """Without such users there is nothing to refuse."""
    async with prepared(centre, parts):
        assert not await centre.accounts.users("", 100)
    assert "demo_users_refused" not in caplog.messages


async def test_only_outside_the_demo_a_bootstrap_token_is_offered(
    parts: Parts, in_demo: Parts, cheap: argon2.PasswordHasher
) -> None:
    """The demo has an administrator; a platform without users has a link."""
    file = parts.settings.var / "bootstrap-token"
    centre = assemble(parts, cheap)
    async with centre.passwords:
        async with prepared(centre, parts):
            assert file.exists()
        async with prepared(centre, in_demo):
            assert not file.exists()
