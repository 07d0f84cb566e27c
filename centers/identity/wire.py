"""The centre's messages, from domain and to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from centers.identity.domain import (
    AccountState,
    Grant,
    Revocation,
    ServiceAccount,
    User,
    UserChange,
)
from centers.identity.roles import Role
from engine.identity.v1 import identity_pb2
from engine.mesh.v1 import trust_pb2

_STATES: Final[Mapping[AccountState, identity_pb2.AccountState.ValueType]] = {
    AccountState.ACTIVE: identity_pb2.ACCOUNT_STATE_ACTIVE,
    AccountState.SUSPENDED: identity_pb2.ACCOUNT_STATE_SUSPENDED,
    AccountState.LEFT: identity_pb2.ACCOUNT_STATE_LEFT,
}
_STATED: Final = {number: state for state, number in _STATES.items()}


def state_of(number: identity_pb2.AccountState.ValueType) -> AccountState | None:
    """The state; None when it is not stated."""
    return _STATED.get(number)


def change_of(request: identity_pb2.UpdateUserRequest) -> UserChange:
    """What the request wants changed."""
    return UserChange(
        roles=tuple(request.roles.roles) if request.HasField("roles") else None,
        state=state_of(request.state),
        staff_id=request.staff_id if request.HasField("staff_id") else None,
        branch_id=request.branch_id if request.HasField("branch_id") else None,
    )


def user_message(user: User) -> identity_pb2.User:
    """A user with what follows from his roles."""
    return _account_message(user, user.display_name, user.state)


def service_account_message(account: ServiceAccount) -> identity_pb2.User:
    """A service account as it sees itself when it asks who it is."""
    return _account_message(account, account.description, AccountState.ACTIVE)


def _account_message(
    account: User | ServiceAccount, name: str, state: AccountState
) -> identity_pb2.User:
    principal = account.principal(session_id="")
    message = identity_pb2.User(
        username=principal.subject,
        display_name=name,
        roles=principal.roles,
        staff_id=principal.staff_id,
        branch_id=principal.branch_id,
        state=_STATES[state],
        permissions=sorted(principal.permissions),
        data_scope=principal.data_scope,
    )
    message.create_time.FromDatetime(account.created)
    return message


def role_message(role: Role) -> identity_pb2.Role:
    """A role of the catalogue."""
    return identity_pb2.Role(
        role=role.name,
        description=role.description,
        permissions=sorted(role.permissions),
        data_scope=role.data_scope,
    )


def grant_message(grant: Grant) -> identity_pb2.TokenGrant:
    """Tokens, with the names of RFC 6749."""
    return identity_pb2.TokenGrant(
        access_token=grant.access_token,
        token_type="Bearer",  # noqa: S106 - a kind, not a token
        expires_in=grant.expires_in_s,
        refresh_token=grant.refresh_token,
    )


def revocation_message(revocation: Revocation) -> trust_pb2.Revocation:
    """An ended session."""
    message = trust_pb2.Revocation(session_id=revocation.session_id)
    message.expire_time.FromDatetime(revocation.expires)
    return message
