"""Users, roles and service accounts over a real channel, through the whole chain."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import argon2
import grpc
import pytest

from centers.identity.app import BLUEPRINT, build
from centers.identity.demo import demo_users
from centers.identity.roles import ROLES
from engine.identity.v1 import identity_pb2 as pb
from engine.identity.v1 import identity_pb2_grpc
from mesh import Blueprint, ErrorView
from mesh.testing import Mesh

DEMO_PASSWORD = "engine-demo"
PASSWORD = "correct horse battery"


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


async def signed_on(mesh: Mesh, username: str, password: str = DEMO_PASSWORD) -> Any:
    """A stub that calls as a user."""
    request = pb.CreateSessionRequest(username=username, password=password)
    answer = await identity(mesh).CreateSession(request)
    return identity(mesh, answer.grant.access_token)


@pytest.fixture
async def admin(demo: Mesh) -> Any:
    return await signed_on(demo, "admin")


async def refusal(call: Any) -> ErrorView:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return ErrorView.from_rpc(failed.value)


def new_user(username: str, *roles: str, request_id: str = "", **fields: Any) -> Any:
    user = pb.User(username=username, roles=roles, **fields)
    return pb.CreateUserRequest(user=user, password=PASSWORD, request_id=request_id)


async def test_a_new_user_can_sign_on(demo: Mesh, admin: Any) -> None:
    """He is answered with what follows from his roles, and is active unless said otherwise."""
    request = new_user("rm010", "relationship-manager", display_name="李", staff_id=10, branch_id=2)
    created = (await admin.CreateUser(request)).user
    assert (created.display_name, created.staff_id, created.branch_id) == ("李", 10, 2)
    assert created.state == pb.ACCOUNT_STATE_ACTIVE
    assert set(created.permissions) == ROLES["relationship-manager"].permissions
    assert (await admin.GetUser(pb.GetUserRequest(username="rm010"))).user == created
    me = await (await signed_on(demo, "rm010", PASSWORD)).GetMe(pb.GetMeRequest())
    assert me.user == created


async def test_a_repeated_creation_gets_the_first_answer(admin: Any) -> None:
    """Same request id and request: same answer; another request: refused."""
    request = new_user("rm010", "compliance", request_id="once")
    first = await admin.CreateUser(request)
    assert await admin.CreateUser(request) == first
    other = await refusal(admin.CreateUser(new_user("rm011", request_id="once")))
    assert other.reason == "REQUEST_ID_REUSED"
    again = await refusal(admin.CreateUser(new_user("rm010", request_id="twice")))
    assert (again.code, again.reason) == (grpc.StatusCode.ALREADY_EXISTS, "USER_EXISTS")


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        ({"user": pb.User(username="Rm", roles=[])}, "INVALID_ARGUMENT", "user.username"),
        ({"user": pb.User(username="rm010", roles=["king"])}, "ROLE_UNKNOWN", "user.roles[0]"),
        (
            {"user": pb.User(username="rm010", roles=["compliance"] * 2)},
            "INVALID_ARGUMENT",
            "user.roles",
        ),
        ({"password": "short"}, "INVALID_ARGUMENT", "password"),
        (
            {"user": pb.User(username="correct-horse"), "password": "Correct-Horse"},
            "PASSWORD_WEAK",
            "password",
        ),
        ({"user": None}, "INVALID_ARGUMENT", "user"),
    ],
)
async def test_a_user_that_breaks_a_rule_is_refused_by_field(
    admin: Any, change: dict[str, Any], reason: str, field: str
) -> None:
    """Each refusal names the field."""
    parts = {"user": pb.User(username="rm010"), "password": PASSWORD, **change}
    error = await refusal(admin.CreateUser(pb.CreateUserRequest(**parts)))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (error.reason, error.violations[0].field) == (reason, field)


async def test_only_administrators_create_users(demo: Mesh) -> None:
    """Who may read the users may not make any."""
    compliance = await signed_on(demo, "compliance")
    error = await refusal(compliance.CreateUser(new_user("rm010")))
    assert error.code is grpc.StatusCode.PERMISSION_DENIED
    assert await compliance.GetUser(pb.GetUserRequest(username="rm001"))


async def test_an_unknown_user_is_not_found(admin: Any) -> None:
    """Reading and changing say the same."""
    read = await refusal(admin.GetUser(pb.GetUserRequest(username="nobody")))
    changed = await refusal(admin.UpdateUser(pb.UpdateUserRequest(username="nobody")))
    assert read == changed
    assert (read.code, read.reason) == (grpc.StatusCode.NOT_FOUND, "USER_NOT_FOUND")


async def test_pages_cover_all_users_once(admin: Any) -> None:
    """Names come in order, none twice, and the last page has no token."""
    seen, token = [], ""
    while True:
        request = pb.ListUsersRequest(page_size=3, page_token=token)
        page = await admin.ListUsers(request)
        assert len(page.users) <= 3
        seen += [user.username for user in page.users]
        token = page.next_page_token
        if not token:
            break
    assert seen == sorted(user.username for user in demo_users(datetime.now(UTC)))


async def test_a_page_token_of_somebody_else_is_refused(admin: Any) -> None:
    """A token is what a page before answered, and nothing else."""
    error = await refusal(admin.ListUsers(pb.ListUsersRequest(page_token="rm001")))
    assert (error.reason, error.violations[0].field) == ("PAGE_TOKEN_INVALID", "page_token")


async def test_changed_rights_hold_at_once(demo: Mesh, admin: Any) -> None:
    """The user's tokens end with the change; his next ones have the new rights."""
    before = await signed_on(demo, "rm001")
    roles = pb.RoleSet(roles=["branch-manager"])
    changed = await admin.UpdateUser(pb.UpdateUserRequest(username="rm001", roles=roles))
    assert list(changed.user.roles) == ["branch-manager"]
    assert (changed.user.staff_id, changed.user.branch_id) == (1, 1)
    assert (await refusal(before.GetMe(pb.GetMeRequest()))).reason == "SESSION_ENDED"
    me = await (await signed_on(demo, "rm001")).GetMe(pb.GetMeRequest())
    assert me.user == changed.user


async def test_a_suspended_user_is_out_at_once(demo: Mesh, admin: Any) -> None:
    """His tokens end, and the right password is answered with the reason."""
    before = await signed_on(demo, "rm001")
    suspend = pb.UpdateUserRequest(username="rm001", state=pb.ACCOUNT_STATE_SUSPENDED)
    assert (await admin.UpdateUser(suspend)).user.state == pb.ACCOUNT_STATE_SUSPENDED
    assert (await refusal(before.GetMe(pb.GetMeRequest()))).reason == "SESSION_ENDED"
    error = await refusal(signed_on(demo, "rm001"))
    assert (error.code, error.reason) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "ACCOUNT_SUSPENDED",
    )


async def test_who_has_left_stays_away(admin: Any) -> None:
    """LEFT is final."""
    leave = pb.UpdateUserRequest(username="rm001", state=pb.ACCOUNT_STATE_LEFT)
    await admin.UpdateUser(leave)
    back = pb.UpdateUserRequest(username="rm001", state=pb.ACCOUNT_STATE_ACTIVE)
    error = await refusal(admin.UpdateUser(back))
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "USER_LEFT")


async def test_the_last_administrator_cannot_be_taken_away(admin: Any) -> None:
    """The platform always has somebody who can manage it."""
    suspend = pb.UpdateUserRequest(username="admin", state=pb.ACCOUNT_STATE_SUSPENDED)
    error = await refusal(admin.UpdateUser(suspend))
    assert (error.code, error.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "LAST_ADMINISTRATOR",
    )
    assert await admin.GetMe(pb.GetMeRequest())


async def test_an_unknown_role_of_a_change_is_named(admin: Any) -> None:
    """The violation has the place in the request."""
    roles = pb.RoleSet(roles=["compliance", "king"])
    error = await refusal(admin.UpdateUser(pb.UpdateUserRequest(username="rm001", roles=roles)))
    assert (error.reason, error.violations[0].field) == ("ROLE_UNKNOWN", "roles.roles[1]")


async def test_the_roles_are_listed_with_what_they_carry(admin: Any) -> None:
    """All of the catalogue, by name."""
    roles = (await admin.ListRoles(pb.ListRolesRequest())).roles
    assert [role.role for role in roles] == sorted(ROLES)
    for role in roles:
        assert set(role.permissions) == ROLES[role.role].permissions
        assert role.data_scope == ROLES[role.role].data_scope
        assert role.description


async def test_a_service_account_works_with_its_secret(demo: Mesh, admin: Any) -> None:
    """It signs on, sees itself, and is stopped by signing out."""
    created = await admin.CreateServiceAccount(
        pb.CreateServiceAccountRequest(
            client_id="night-batch", description="Night batch", roles=["service-robot"]
        )
    )
    request = pb.IssueServiceTokenRequest(
        client_id="night-batch", client_secret=created.client_secret
    )
    grant = (await identity(demo).IssueServiceToken(request)).grant
    assert not grant.refresh_token
    robot = identity(demo, grant.access_token)
    me = (await robot.GetMe(pb.GetMeRequest())).user
    assert (me.username, me.display_name) == ("service:night-batch", "Night batch")
    assert set(me.permissions) == ROLES["service-robot"].permissions
    assert (await robot.DeleteSession(pb.DeleteSessionRequest())).ended == 1
    assert (await refusal(robot.GetMe(pb.GetMeRequest()))).reason == "SESSION_ENDED"


async def test_a_wrong_secret_is_refused(demo: Mesh, admin: Any) -> None:
    """As for users, an unknown account looks the same."""
    account = pb.CreateServiceAccountRequest(client_id="robot", roles=["service-robot"])
    await admin.CreateServiceAccount(account)
    errors = [
        await refusal(
            identity(demo).IssueServiceToken(
                pb.IssueServiceTokenRequest(client_id=client_id, client_secret="wrong")
            )
        )
        for client_id in ("robot", "nobody")
    ]
    assert errors[0] == errors[1]
    assert errors[0].reason == "SIGN_ON_FAILED"


async def test_a_service_account_is_created_once(admin: Any) -> None:
    """The secret of one that exists cannot be had by creating it again."""
    account = pb.CreateServiceAccountRequest(client_id="robot", roles=["service-robot"])
    await admin.CreateServiceAccount(account)
    error = await refusal(admin.CreateServiceAccount(account))
    assert (error.code, error.reason) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "SERVICE_ACCOUNT_EXISTS",
    )
