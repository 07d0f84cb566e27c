"""Creating and changing users and service accounts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from centers.identity.app import Centre
from centers.identity.domain import AccountState, ServiceAccount, User, UserChange
from centers.identity.errors import IdentityReason
from mesh.clock import ManualClock
from mesh.context import Principal
from mesh.errors import MeshError, MeshReason
from mesh.service import Parts

PASSWORD = "correct horse"
SUSPEND = UserChange(state=AccountState.SUSPENDED)


def user(clock: ManualClock, username: str, *roles: str) -> User:
    return User(
        username=username,
        display_name="",
        roles=roles,
        staff_id=0,
        branch_id=0,
        state=AccountState.ACTIVE,
        demo=False,
        created=clock.now(),
    )


def named(user: User) -> StringValue:
    return StringValue(value=user.username)


def kept_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("identity.db*"))


async def reason_of(work: Awaitable[object]) -> object:
    with pytest.raises(MeshError) as refused:
        await work
    return refused.value.reason


async def test_a_user_is_kept_as_created(centre: Centre, clock: ManualClock) -> None:
    """What was stored is what was asked for, to the microsecond."""
    clock.advance(0.123456)
    created = user(clock, "rm001", "relationship-manager", "load-tester")
    answer = await centre.accounts.create_user(created, PASSWORD, named)
    assert answer.value == "rm001"
    assert await centre.accounts.user("rm001") == created


async def test_a_name_is_given_once(centre: Centre, clock: ManualClock) -> None:
    """The second user of a name is refused and the first stays as he is."""
    first = user(clock, "rm001", "compliance")
    await centre.accounts.create_user(first, PASSWORD, named)
    second = centre.accounts.create_user(user(clock, "rm001"), "another horse", named)
    assert await reason_of(second) is IdentityReason.USER_EXISTS
    assert await centre.accounts.user("rm001") == first
    assert await centre.sign_on.sign_on("rm001", PASSWORD)


async def test_of_two_users_of_one_name_side_by_side_one_is_created(
    centre: Centre, clock: ManualClock
) -> None:
    """There is no moment in which both find the name free."""
    both = (centre.accounts.create_user(user(clock, "rm001"), PASSWORD, named) for _ in range(2))
    answers = await asyncio.gather(*both, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, MeshError)]
    assert [error.reason for error in refused] == [IdentityReason.USER_EXISTS]


async def test_a_user_cannot_have_an_unknown_role(centre: Centre, clock: ManualClock) -> None:
    """It is named, and nobody is created."""
    created = centre.accounts.create_user(user(clock, "rm001", "king"), PASSWORD, named)
    assert await reason_of(created) is IdentityReason.ROLE_UNKNOWN
    assert await reason_of(centre.accounts.user("rm001")) is IdentityReason.USER_NOT_FOUND


async def test_users_are_listed_by_name(
    centre: Centre, add: Callable[..., Awaitable[User]]
) -> None:
    """A page follows the name it is asked to follow."""
    for username in ("rm010", "rm002", "admin"):
        await add(username)
    assert [u.username for u in await centre.accounts.users("", 2)] == ["admin", "rm002"]
    assert [u.username for u in await centre.accounts.users("rm002", 2)] == ["rm010"]
    assert not await centre.accounts.users("rm010", 2)


async def test_a_change_ends_the_sessions_of_the_user(
    centre: Centre, add: Callable[..., Awaitable[User]], parts: Parts
) -> None:
    """No token outlives the rights it was signed with."""
    await add("rm001")
    grant = await centre.sign_on.sign_on("rm001", PASSWORD)
    changed = await centre.accounts.update_user("rm001", UserChange(roles=("branch-manager",)))
    assert changed.roles == ("branch-manager",)
    assert await centre.accounts.user("rm001") == changed
    with pytest.raises(MeshError) as refused:
        parts.verifier.user(grant.access_token)
    assert refused.value.reason is MeshReason.SESSION_ENDED


async def test_the_same_change_again_ends_nothing(
    centre: Centre, add: Callable[..., Awaitable[User]], parts: Parts
) -> None:
    """Repeating a change leaves the sessions opened since."""
    await add("rm001")
    change = UserChange(branch_id=9)
    await centre.accounts.update_user("rm001", change)
    grant = await centre.sign_on.sign_on("rm001", PASSWORD)
    await centre.accounts.update_user("rm001", change)
    assert parts.verifier.user(grant.access_token).branch_id == 9


async def test_who_was_suspended_signs_on_again_when_activated(
    centre: Centre, add: Callable[..., Awaitable[User]]
) -> None:
    """Suspended and active may follow one another."""
    await add("rm001")
    await centre.accounts.update_user("rm001", SUSPEND)
    attempt = centre.sign_on.sign_on("rm001", PASSWORD)
    assert await reason_of(attempt) is IdentityReason.ACCOUNT_SUSPENDED
    await centre.accounts.update_user("rm001", UserChange(state=AccountState.ACTIVE))
    assert await centre.sign_on.sign_on("rm001", PASSWORD)


@pytest.mark.parametrize(
    "change",
    [SUSPEND, UserChange(state=AccountState.LEFT), UserChange(roles=("compliance",))],
)
async def test_the_last_administrator_stays(
    centre: Centre, add: Callable[..., Awaitable[User]], change: UserChange
) -> None:
    """Nobody can lock everybody out of the accounts; another administrator makes it possible."""
    await add("root", roles=("administrator",))
    await add("helper", roles=("administrator",), state=AccountState.SUSPENDED)
    await add("demo", roles=("administrator",), demo=True)
    refused = centre.accounts.update_user("root", change)
    assert await reason_of(refused) is IdentityReason.LAST_ADMINISTRATOR
    await centre.accounts.update_user("helper", UserChange(state=AccountState.ACTIVE))
    await centre.accounts.update_user("root", change)


async def test_of_two_administrators_who_suspend_each_other_one_stays(
    centre: Centre, add: Callable[..., Awaitable[User]]
) -> None:
    """The rule holds for changes side by side, too."""
    await add("one", roles=("administrator",))
    await add("two", roles=("administrator",))
    both = (centre.accounts.update_user(name, SUSPEND) for name in ("one", "two"))
    answers = await asyncio.gather(*both, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, MeshError)]
    assert [error.reason for error in refused] == [IdentityReason.LAST_ADMINISTRATOR]


async def test_only_users_that_exist_can_be_changed(centre: Centre) -> None:
    """An unknown name and an unknown role are told apart."""
    unknown = centre.accounts.update_user("nobody", SUSPEND)
    assert await reason_of(unknown) is IdentityReason.USER_NOT_FOUND
    king = centre.accounts.update_user("nobody", UserChange(roles=("king",)))
    assert await reason_of(king) is IdentityReason.ROLE_UNKNOWN


def robot(clock: ManualClock, *roles: str) -> ServiceAccount:
    return ServiceAccount(
        client_id="robot", description="Night batch", roles=roles, created=clock.now()
    )


async def test_the_secret_of_a_service_account_is_not_kept(
    centre: Centre, clock: ManualClock, tmp_path: Path
) -> None:
    """It is answered once; the database has a digest alone."""
    secret = await centre.accounts.create_service_account(robot(clock, "service-robot"))
    content = kept_bytes(tmp_path)
    assert b"Night batch" in content
    assert secret.encode() not in content


async def test_a_service_account_is_created_once(centre: Centre, clock: ManualClock) -> None:
    """The second of a name is refused, and unknown roles are, too."""
    await centre.accounts.create_service_account(robot(clock, "service-robot"))
    again = centre.accounts.create_service_account(robot(clock, "service-robot"))
    assert await reason_of(again) is IdentityReason.SERVICE_ACCOUNT_EXISTS
    king = centre.accounts.create_service_account(robot(clock, "king"))
    assert await reason_of(king) is IdentityReason.ROLE_UNKNOWN


async def test_a_caller_is_found_by_his_subject(
    centre: Centre, add: Callable[..., Awaitable[User]], clock: ManualClock
) -> None:
    """Users and service accounts alike; a user of the account's bare name is another."""
    manager = await add("robot")
    account = robot(clock, "service-robot")
    await centre.accounts.create_service_account(account)
    assert await centre.accounts.caller(manager.principal("s")) == manager
    assert await centre.accounts.caller(account.principal("s")) == account


@pytest.mark.parametrize("subject", ["nobody", "service:nobody"])
async def test_a_caller_without_an_account_is_not_found(centre: Centre, subject: str) -> None:
    """A token may outlive the database that it was made for."""
    principal = Principal(subject=subject, permissions=frozenset())
    assert await reason_of(centre.accounts.caller(principal)) is IdentityReason.USER_NOT_FOUND
