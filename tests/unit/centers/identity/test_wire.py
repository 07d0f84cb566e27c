"""Messages from domain objects and to them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from centers.identity import wire
from centers.identity.domain import AccountState, User, UserChange
from engine.identity.v1 import identity_pb2
from engine.mesh.v1 import policy_pb2


@pytest.mark.parametrize("state", AccountState)
def test_every_state_has_a_number(state: AccountState) -> None:
    """States go out and come back as they were."""
    user = User(
        username="rm001",
        display_name="",
        roles=("service-robot",),
        staff_id=1,
        branch_id=2,
        state=state,
        demo=False,
        created=datetime(2026, 1, 1, tzinfo=UTC),
    )
    message = wire.user_message(user)
    assert wire.state_of(message.state) is state
    assert list(message.permissions) == [
        "identity.self",
        "sequencer.lease",
        "sequencer.read",
        "sequencer.reserve",
    ]
    assert message.data_scope == policy_pb2.SCOPE_SELF
    assert message.create_time.ToDatetime(UTC) == user.created


def test_absent_fields_of_an_update_change_nothing() -> None:
    """Absent and zero are told apart."""
    absent = identity_pb2.UpdateUserRequest(username="rm001")
    assert wire.change_of(absent) == UserChange()
    zero = identity_pb2.UpdateUserRequest(
        username="rm001", roles=identity_pb2.RoleSet(), staff_id=0, branch_id=0
    )
    assert wire.change_of(zero) == UserChange(roles=(), staff_id=0, branch_id=0)
