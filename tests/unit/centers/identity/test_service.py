"""Signing on, renewing, signing out, and changing passwords."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import argon2
import pytest

from centers.identity.app import Centre, assemble
from centers.identity.domain import (
    AccountState,
    Grant,
    ServiceAccount,
    User,
    UserChange,
)
from centers.identity.errors import IdentityReason
from centers.identity.lockout import MAX_FAILURES, WINDOW_S
from mesh.clock import ManualClock
from mesh.context import Principal
from mesh.errors import MeshError, MeshReason
from mesh.service import Parts

PASSWORD = "correct horse"
ACCESS_S, SESSION_S = 300, 8 * 3600


async def reason_of(work: Awaitable[object]) -> object:
    """Why `work` is refused."""
    with pytest.raises(MeshError) as refused:
        await work
    return refused.value.reason


def check(parts: Parts, grant: Grant) -> Principal:
    """What a service makes of the access token; raises when it is refused."""
    return parts.verifier.user(grant.access_token)


def refusal(parts: Parts, grant: Grant) -> object:
    with pytest.raises(MeshError) as refused:
        check(parts, grant)
    return refused.value.reason


async def test_the_right_password_signs_on(
    centre: Centre, add: Callable[..., Awaitable[User]], parts: Parts
) -> None:
    """The token says who the user is and what follows from his roles."""
    user = await add("rm001", roles=("relationship-manager",), staff_id=7, branch_id=3)
    grant = await centre.sign_on.sign_on("rm001", PASSWORD)
    principal = check(parts, grant)
    assert principal == user.principal(principal.session_id)
    assert grant.expires_in_s == ACCESS_S
    assert grant.refresh_token


async def test_each_sign_on_is_a_session_of_its_own(
    centre: Centre, add: Callable[..., Awaitable[User]], parts: Parts
) -> None:
    """Two devices do not share a session."""
    await add("rm001")
    first = await centre.sign_on.sign_on("rm001", PASSWORD)
    second = await centre.sign_on.sign_on("rm001", PASSWORD)
    assert check(parts, first).session_id != check(parts, second).session_id


@pytest.mark.parametrize("username", ["rm001", "nobody", "service:robot", "RM001"])
async def test_a_wrong_password_and_an_unknown_user_look_the_same(
    centre: Centre, add: Callable[..., Awaitable[User]], username: str
) -> None:
    """Neither reason nor text tells whether there is such a user."""
    await add("rm001")
    with pytest.raises(MeshError) as refused:
        await centre.sign_on.sign_on(username, "wrong horse")
    assert refused.value.reason is IdentityReason.SIGN_ON_FAILED
    assert refused.value.detail == IdentityReason.SIGN_ON_FAILED.text.english
    assert refused.value.metadata == {}


@pytest.mark.parametrize("state", [AccountState.SUSPENDED, AccountState.LEFT])
async def test_a_suspended_account_cannot_sign_on(
    centre: Centre, add: Callable[..., Awaitable[User]], state: AccountState
) -> None:
    """Who knows the password learns it, who does not gets the answer of everybody else."""
    await add("rm001", state=state)
    right = centre.sign_on.sign_on("rm001", PASSWORD)
    assert await reason_of(right) is IdentityReason.ACCOUNT_SUSPENDED
    wrong = centre.sign_on.sign_on("rm001", "wrong horse")
    assert await reason_of(wrong) is IdentityReason.SIGN_ON_FAILED


@pytest.mark.parametrize("username", ["rm001", "nobody"])
async def test_after_ten_failures_even_the_right_password_is_refused(
    centre: Centre, add: Callable[..., Awaitable[User]], clock: ManualClock, username: str
) -> None:
    """A closed name stays closed for fifteen minutes, whether or not there is such a user."""
    await add("rm001")
    for _ in range(MAX_FAILURES):
        await reason_of(centre.sign_on.sign_on(username, "wrong horse"))
    with pytest.raises(MeshError) as refused:
        await centre.sign_on.sign_on(username, PASSWORD)
    assert refused.value.reason is IdentityReason.TOO_MANY_ATTEMPTS
    assert refused.value.retry_after_s == WINDOW_S


async def test_a_closed_name_opens_again(
    centre: Centre, add: Callable[..., Awaitable[User]], clock: ManualClock
) -> None:
    """After the fifteen minutes the right password signs on."""
    await add("rm001")
    for _ in range(MAX_FAILURES):
        await reason_of(centre.sign_on.sign_on("rm001", "wrong horse"))
    clock.advance(WINDOW_S)
    assert await centre.sign_on.sign_on("rm001", PASSWORD)


async def test_guesses_side_by_side_are_counted_too(
    centre: Centre, add: Callable[..., Awaitable[User]]
) -> None:
    """No more than ten of thirty guesses made at once are heard."""
    await add("rm001")
    guesses = [centre.sign_on.sign_on("rm001", f"guess {n}") for n in range(3 * MAX_FAILURES)]
    answers = await asyncio.gather(*map(reason_of, guesses))
    assert answers.count(IdentityReason.SIGN_ON_FAILED) == MAX_FAILURES
    assert answers.count(IdentityReason.TOO_MANY_ATTEMPTS) == 2 * MAX_FAILURES


async def test_a_hash_with_old_parameters_is_made_anew(
    centre: Centre, add: Callable[..., Awaitable[User]], parts: Parts
) -> None:
    """Signing on upgrades the hash to today's cost, and the password stays the same."""
    await add("rm001")
    dearer = argon2.PasswordHasher(time_cost=2, memory_cost=8, parallelism=1)
    tomorrow = assemble(parts, dearer)
    async with tomorrow.passwords:
        for _ in range(2):
            assert await tomorrow.sign_on.sign_on("rm001", PASSWORD)
    record = await centre.records.user("rm001")
    assert record is not None
    assert not dearer.check_needs_rehash(record.password_hash)


async def test_sign_ons_that_upgrade_the_hash_together_all_succeed(
    add: Callable[..., Awaitable[User]], parts: Parts
) -> None:
    """The one that finds the hash changed is judged by the new one."""
    await add("rm001")
    dearer = argon2.PasswordHasher(time_cost=2, memory_cost=8, parallelism=1)
    tomorrow = assemble(parts, dearer)
    async with tomorrow.passwords:
        together = (tomorrow.sign_on.sign_on("rm001", PASSWORD) for _ in range(5))
        assert len(await asyncio.gather(*together)) == 5


async def test_a_sign_on_does_not_outrun_a_change_of_password(
    centre: Centre, add: Callable[..., Awaitable[User]], parts: Parts
) -> None:
    """A password that was right when it was checked opens no session once it was changed."""
    await add("rm001")
    checked = await centre.records.user("rm001")
    assert checked is not None
    own = check(parts, await centre.sign_on.sign_on("rm001", PASSWORD))
    await centre.sign_on.change_password(own, PASSWORD, "another horse")
    assert await centre.sign_on._open(checked, PASSWORD) is None


async def test_a_refresh_token_brings_the_next_tokens(
    centre: Centre, add: Callable[..., Awaitable[User]], parts: Parts, clock: ManualClock
) -> None:
    """Renewing goes on with the same session and gives another refresh token."""
    await add("rm001")
    first = await centre.sign_on.sign_on("rm001", PASSWORD)
    session = check(parts, first).session_id
    clock.advance(ACCESS_S + 10)
    second = await centre.sign_on.refresh(first.refresh_token)
    assert check(parts, second).session_id == session
    assert second.refresh_token not in ("", first.refresh_token)


async def test_a_refresh_token_used_twice_ends_the_session(
    centre: Centre, add: Callable[..., Awaitable[User]], parts: Parts
) -> None:
    """The thief's next token and the robbed user's stop working, access tokens included."""
    await add("rm001")
    first = await centre.sign_on.sign_on("rm001", PASSWORD)
    second = await centre.sign_on.refresh(first.refresh_token)
    again = centre.sign_on.refresh(first.refresh_token)
    assert await reason_of(again) is IdentityReason.REFRESH_TOKEN_INVALID
    assert refusal(parts, second) is MeshReason.SESSION_ENDED
    last = centre.sign_on.refresh(second.refresh_token)
    assert await reason_of(last) is IdentityReason.REFRESH_TOKEN_INVALID
    assert parts.telemetry.meters.counter("identity.refresh_tokens_reused").value == 1


async def test_of_two_uses_side_by_side_one_succeeds_and_the_session_ends(
    centre: Centre, add: Callable[..., Awaitable[User]], parts: Parts
) -> None:
    """There is no moment in which one refresh token works twice."""
    await add("rm001")
    first = await centre.sign_on.sign_on("rm001", PASSWORD)
    both = (centre.sign_on.refresh(first.refresh_token) for _ in range(2))
    answers = await asyncio.gather(*both, return_exceptions=True)
    granted = [answer for answer in answers if isinstance(answer, Grant)]
    assert len(granted) == 1
    assert refusal(parts, granted[0]) is MeshReason.SESSION_ENDED


async def test_the_theft_of_one_session_leaves_the_others(
    centre: Centre, add: Callable[..., Awaitable[User]], parts: Parts
) -> None:
    """Another device of the same user goes on."""
    await add("rm001")
    robbed = await centre.sign_on.sign_on("rm001", PASSWORD)
    other = await centre.sign_on.sign_on("rm001", PASSWORD)
    await centre.sign_on.refresh(robbed.refresh_token)
    await reason_of(centre.sign_on.refresh(robbed.refresh_token))
    assert check(parts, other)
    assert await centre.sign_on.refresh(other.refresh_token)


async def test_a_made_up_refresh_token_is_refused(centre: Centre) -> None:
    """A token that was never given out ends nothing."""
    made_up = centre.sign_on.refresh("made-up")
    assert await reason_of(made_up) is IdentityReason.REFRESH_TOKEN_INVALID


async def test_a_session_cannot_be_renewed_beyond_its_life(
    centre: Centre, add: Callable[..., Awaitable[User]], clock: ManualClock
) -> None:
    """However often it was renewed, it ends eight hours after the sign-on."""
    await add("rm001")
    grant = await centre.sign_on.sign_on("rm001", PASSWORD)
    clock.advance(SESSION_S - 100)
    grant = await centre.sign_on.refresh(grant.refresh_token)
    assert grant.expires_in_s == 100
    clock.advance(100)
    late = centre.sign_on.refresh(grant.refresh_token)
    assert await reason_of(late) is IdentityReason.REFRESH_TOKEN_INVALID


async def test_renewing_carries_the_rights_of_the_moment(
    centre: Centre, add: Callable[..., Awaitable[User]], parts: Parts
) -> None:
    """A renewed token is made from the user as he is in the store."""
    await add("rm001", roles=("compliance",))
    grant = await centre.sign_on.sign_on("rm001", PASSWORD)
    async with centre.records.transaction() as changes:
        record = await changes.user("rm001")
        assert record is not None
        await changes.save_user(replace(record.user, roles=("branch-manager",)))
    renewed = await centre.sign_on.refresh(grant.refresh_token)
    assert check(parts, renewed).roles == ("branch-manager",)


async def test_who_was_suspended_cannot_renew(
    centre: Centre, add: Callable[..., Awaitable[User]]
) -> None:
    """Even a session that was not ended gets no more tokens."""
    await add("rm001")
    grant = await centre.sign_on.sign_on("rm001", PASSWORD)
    async with centre.records.transaction() as changes:
        record = await changes.user("rm001")
        assert record is not None
        await changes.save_user(UserChange(state=AccountState.SUSPENDED).applied(record.user))
    renewal = centre.sign_on.refresh(grant.refresh_token)
    assert await reason_of(renewal) is IdentityReason.REFRESH_TOKEN_INVALID


async def test_signing_out_ends_this_session_alone(
    centre: Centre, add: Callable[..., Awaitable[User]], parts: Parts
) -> None:
    """Its access and refresh tokens stop working at once; another session goes on."""
    await add("rm001")
    here = await centre.sign_on.sign_on("rm001", PASSWORD)
    there = await centre.sign_on.sign_on("rm001", PASSWORD)
    assert await centre.sign_on.sign_out(check(parts, here), everywhere=False) == 1
    assert refusal(parts, here) is MeshReason.SESSION_ENDED
    renewal = centre.sign_on.refresh(here.refresh_token)
    assert await reason_of(renewal) is IdentityReason.REFRESH_TOKEN_INVALID
    assert check(parts, there)


async def test_signing_out_twice_ends_nothing_more(
    centre: Centre, add: Callable[..., Awaitable[User]], parts: Parts
) -> None:
    """Repeating it is no error."""
    await add("rm001")
    principal = check(parts, await centre.sign_on.sign_on("rm001", PASSWORD))
    await centre.sign_on.sign_out(principal, everywhere=False)
    assert await centre.sign_on.sign_out(principal, everywhere=False) == 0


async def test_signing_out_everywhere_ends_all_sessions_of_the_caller(
    centre: Centre, add: Callable[..., Awaitable[User]], parts: Parts
) -> None:
    """Open ones are counted; those of others go on."""
    await add("rm001")
    await add("rm002")
    own = [await centre.sign_on.sign_on("rm001", PASSWORD) for _ in range(3)]
    other = await centre.sign_on.sign_on("rm002", PASSWORD)
    assert await centre.sign_on.sign_out(check(parts, own[0]), everywhere=True) == 3
    assert {refusal(parts, grant) for grant in own} == {MeshReason.SESSION_ENDED}
    assert check(parts, other)


async def test_changing_the_password_ends_the_other_sessions(
    centre: Centre, add: Callable[..., Awaitable[User]], parts: Parts
) -> None:
    """The session that changed it goes on; only the new password signs on from then."""
    await add("rm001")
    here = await centre.sign_on.sign_on("rm001", PASSWORD)
    there = await centre.sign_on.sign_on("rm001", PASSWORD)
    await centre.sign_on.change_password(check(parts, here), PASSWORD, "another horse")
    assert refusal(parts, there) is MeshReason.SESSION_ENDED
    assert check(parts, here)
    old = centre.sign_on.sign_on("rm001", PASSWORD)
    assert await reason_of(old) is IdentityReason.SIGN_ON_FAILED
    assert await centre.sign_on.sign_on("rm001", "another horse")


async def test_a_password_cannot_be_changed_without_knowing_it(
    centre: Centre, add: Callable[..., Awaitable[User]], parts: Parts
) -> None:
    """A stolen access token is not enough, and guesses are counted as sign-ons are."""
    await add("rm001")
    principal = check(parts, await centre.sign_on.sign_on("rm001", PASSWORD))
    for _ in range(MAX_FAILURES):
        guess = centre.sign_on.change_password(principal, "wrong horse", "another horse")
        assert await reason_of(guess) is IdentityReason.PASSWORD_WRONG
    guess = centre.sign_on.change_password(principal, PASSWORD, "another horse")
    assert await reason_of(guess) is IdentityReason.TOO_MANY_ATTEMPTS


async def test_of_two_changes_side_by_side_one_is_refused(
    centre: Centre, add: Callable[..., Awaitable[User]], parts: Parts
) -> None:
    """A change is made to the password that was checked, not to a newer one."""
    await add("rm001")
    principal = check(parts, await centre.sign_on.sign_on("rm001", PASSWORD))
    both = (centre.sign_on.change_password(principal, PASSWORD, f"horse {n}") for n in (1, 2))
    answers = await asyncio.gather(*both, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, MeshError)]
    assert [error.reason for error in refused] == [IdentityReason.PASSWORD_WRONG]


async def test_a_new_password_must_not_be_the_username(
    centre: Centre, add: Callable[..., Awaitable[User]], parts: Parts
) -> None:
    """It is refused before the old one is looked at."""
    await add("relationship.manager.1")
    grant = await centre.sign_on.sign_on("relationship.manager.1", PASSWORD)
    change = centre.sign_on.change_password(check(parts, grant), PASSWORD, "Relationship.Manager.1")
    assert await reason_of(change) is IdentityReason.PASSWORD_WEAK


async def robot(centre: Centre, clock: ManualClock) -> str:
    """Create the service account "robot"; answers its secret."""
    account = ServiceAccount(
        client_id="robot", description="", roles=("service-robot",), created=clock.now()
    )
    return await centre.accounts.create_service_account(account)


async def test_a_service_account_signs_on_with_its_secret(
    centre: Centre, parts: Parts, clock: ManualClock
) -> None:
    """It gets an access token of its own subject, and nothing to renew it with."""
    secret = await robot(centre, clock)
    grant = await centre.sign_on.issue_service_token("robot", secret)
    assert check(parts, grant).subject == "service:robot"
    assert check(parts, grant).roles == ("service-robot",)
    assert (grant.refresh_token, grant.expires_in_s) == ("", ACCESS_S)


@pytest.mark.parametrize("client_id", ["robot", "nobody"])
async def test_a_wrong_secret_and_an_unknown_account_look_the_same(
    centre: Centre, clock: ManualClock, client_id: str
) -> None:
    """Neither tells whether there is such an account."""
    await robot(centre, clock)
    attempt = centre.sign_on.issue_service_token(client_id, "wrong")
    assert await reason_of(attempt) is IdentityReason.SIGN_ON_FAILED


async def test_a_service_account_has_no_password_to_change(
    centre: Centre, parts: Parts, clock: ManualClock
) -> None:
    """It is told that there is no such user."""
    secret = await robot(centre, clock)
    principal = check(parts, await centre.sign_on.issue_service_token("robot", secret))
    change = centre.sign_on.change_password(principal, secret, "another horse")
    assert await reason_of(change) is IdentityReason.USER_NOT_FOUND


async def test_a_service_account_can_sign_out(
    centre: Centre, parts: Parts, clock: ManualClock
) -> None:
    """Its token stops working like a user's."""
    secret = await robot(centre, clock)
    grant = await centre.sign_on.issue_service_token("robot", secret)
    assert await centre.sign_on.sign_out(check(parts, grant), everywhere=False) == 1
    assert refusal(parts, grant) is MeshReason.SESSION_ENDED
