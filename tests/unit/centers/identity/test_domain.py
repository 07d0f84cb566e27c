"""The rules about users and what their tokens say."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from centers.identity.domain import (
    AccountState,
    ServiceAccount,
    User,
    UserChange,
    check_password,
)
from centers.identity.errors import IdentityReason
from centers.identity.roles import ROLES
from engine.mesh.v1 import policy_pb2
from mesh.errors import MeshError

WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def user(*roles: str, state: AccountState = AccountState.ACTIVE) -> User:
    return User(
        username="li.wei",
        display_name="Li Wei",
        roles=roles,
        staff_id=7,
        branch_id=3,
        state=state,
        demo=False,
        created=WHEN,
    )


def test_a_principal_says_who_the_user_is_and_what_he_may_do() -> None:
    """Everything a token carries comes from the user and his roles."""
    principal = user("branch-manager").principal("the-session")
    assert (principal.subject, principal.staff_id, principal.branch_id) == ("li.wei", 7, 3)
    assert principal.permissions == ROLES["branch-manager"].permissions
    assert principal.data_scope == policy_pb2.SCOPE_BRANCH
    assert (principal.roles, principal.session_id) == (("branch-manager",), "the-session")


def test_a_service_account_cannot_be_taken_for_a_user() -> None:
    """Its subject has a prefix that no username can have."""
    account = ServiceAccount(
        client_id="night-batch", description="", roles=("service-robot",), created=WHEN
    )
    assert account.principal("s").subject == "service:night-batch"


def test_a_change_leaves_what_it_does_not_name() -> None:
    """Absent fields stay as they are; present ones are taken, zero and empty included."""
    before = user("compliance")
    assert UserChange().applied(before) == before
    after = UserChange(roles=(), staff_id=0, branch_id=9).applied(before)
    assert (after.roles, after.staff_id, after.branch_id) == ((), 0, 9)
    assert (after.username, after.state) == (before.username, before.state)


def test_who_has_left_does_not_come_back() -> None:
    """LEFT is final, and a repeated change to LEFT is no error."""
    left = user(state=AccountState.LEFT)
    assert UserChange(state=AccountState.LEFT).applied(left) == left
    with pytest.raises(MeshError) as refused:
        UserChange(state=AccountState.ACTIVE).applied(left)
    assert refused.value.reason is IdentityReason.USER_LEFT


@pytest.mark.parametrize("password", ["administrator", "Administrator"])
def test_a_password_that_is_the_username_is_refused(password: str) -> None:
    """The first guess of everybody is not a password, in whatever case."""
    with pytest.raises(MeshError) as refused:
        check_password(password, "administrator", "new_password")
    assert refused.value.reason is IdentityReason.PASSWORD_WEAK
    assert [v.field for v in refused.value.violations] == ["new_password"]


def test_any_other_password_is_taken() -> None:
    """There is no rule about kinds of characters."""
    check_password("correct horse battery", "administrator", "password")
