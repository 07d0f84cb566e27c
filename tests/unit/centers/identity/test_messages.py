"""Messages and page tokens."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from centers.identity import messages
from centers.identity.domain import AccountState, User, UserChange
from engine.identity.v1 import identity_pb2
from engine.mesh.v1 import policy_pb2
from mesh.errors import MeshError, MeshReason

USERNAMES = st.from_regex(r"[a-z][a-z0-9._-]{1,63}", fullmatch=True)


@given(USERNAMES)
def test_a_page_token_names_where_to_go_on(username: str) -> None:
    """The token leads back to the name it was made of, and does not show it."""
    token = messages.page_token(username)
    assert messages.username_before(token) == username
    assert len(token) <= 200


def test_no_token_means_the_first_page() -> None:
    """The first page follows no name."""
    assert messages.username_before("") == ""


def is_ours(token: str) -> bool:
    try:
        name = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    except ValueError:
        return False
    return re.fullmatch(r"[a-z][a-z0-9._-]{1,63}", name) is not None


@given(st.text(min_size=1, max_size=200) | st.text("ABYZabyz0189-_", min_size=1, max_size=90))
@example("cm0wMDE=\n")
@example("cm0wMDE====")
@example("cm0w MDE")
@example("é")
def test_a_token_that_no_page_had_is_refused(token: str) -> None:
    """Anything but a token of ours is an invalid argument, never a crash."""
    assume(not is_ours(token))
    with pytest.raises(MeshError) as refused:
        messages.username_before(token)
    assert refused.value.reason is MeshReason.INVALID_ARGUMENT
    assert [v.field for v in refused.value.violations] == ["page_token"]


@pytest.mark.parametrize("state", AccountState)
def test_every_state_has_a_number(state: AccountState) -> None:
    """States go out and come back as they were."""
    user = User(
        username="rm001",
        display_name="",
        roles=("compliance",),
        staff_id=1,
        branch_id=2,
        state=state,
        demo=False,
        created=datetime(2026, 1, 1, tzinfo=UTC),
    )
    message = messages.user_message(user)
    assert messages.state_of(message.state) is state
    assert list(message.permissions) == ["identity.read", "identity.self"]
    assert message.data_scope == policy_pb2.SCOPE_SELF
    assert message.create_time.ToDatetime(UTC) == user.created


def test_absent_fields_of_an_update_change_nothing() -> None:
    """Absent and zero are told apart."""
    absent = identity_pb2.UpdateUserRequest(username="rm001")
    assert messages.change_of(absent) == UserChange()
    zero = identity_pb2.UpdateUserRequest(
        username="rm001", roles=identity_pb2.RoleSet(), staff_id=0, branch_id=0
    )
    assert messages.change_of(zero) == UserChange(roles=(), staff_id=0, branch_id=0)
