"""Users, roles, sessions, and the rules about them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from centers.identity.errors import IdentityReason
from engine.mesh.v1 import policy_pb2
from mesh.context import Principal
from mesh.errors import MeshError, Violation

SERVICE_PREFIX: Final = "service:"
"""Begins the subject of a service account; no username can contain the colon."""

ADMINISTRATOR: Final = "administrator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A named set of permissions, with the widest data scope of its holders."""

    name: str
    description: str
    permissions: frozenset[str]
    data_scope: policy_pb2.Scope.ValueType


def _role(
    name: str, description: str, scope: policy_pb2.Scope.ValueType, *permissions: str
) -> Role:
    return Role(
        name=name,
        description=description,
        permissions=frozenset({"identity.self", *permissions}),
        data_scope=scope,
    )


ROLES: Final[Mapping[str, Role]] = {
    role.name: role
    for role in (
        _role(
            "relationship-manager",
            "Looks after the customers of his own book 客户经理",
            policy_pb2.SCOPE_OWN_BOOK,
            "customer.read",
            "customer.follow_up",
            "ark.query",
        ),
        _role(
            "branch-manager",
            "Sees the customers of his branch 支行长",
            policy_pb2.SCOPE_BRANCH,
            "customer.read",
            "ark.query",
        ),
        _role(
            "direct-operations-agent",
            "Looks after the customers of his pool from head office 线上直营",
            policy_pb2.SCOPE_OWN_BOOK,
            "customer.read",
            "customer.follow_up",
            "ark.query",
        ),
        _role(
            "head-office-operator",
            "Watches the platform for head office 总行运营",
            policy_pb2.SCOPE_ALL,
            "sequencer.read",
            "ums.read",
        ),
        _role(
            "compliance",
            "Sees who may do what 合规",
            policy_pb2.SCOPE_SELF,
            "identity.read",
        ),
        _role(
            ADMINISTRATOR,
            "Runs accounts and the platform; sees no customer 系统管理员",
            policy_pb2.SCOPE_SELF,
            "identity.read",
            "identity.manage",
            "sequencer.read",
            "sequencer.create",
            "sequencer.lease",
            "ums.read",
        ),
        _role(
            "service-robot",
            "A program that takes ids for its work 机器人",
            policy_pb2.SCOPE_SELF,
            "sequencer.read",
            "sequencer.lease",
        ),
        _role(
            "load-tester",
            "Takes ids at full speed, for load tests 压测",
            policy_pb2.SCOPE_SELF,
            "sequencer.read",
            "sequencer.lease",
        ),
    )
}
"""The catalogue. A role that it does not name carries nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What follows from roles: all their permissions, the widest of their scopes."""

    permissions: frozenset[str]
    data_scope: policy_pb2.Scope.ValueType


def rights_of(roles: Iterable[str]) -> Rights:
    """The rights that `roles` carry together."""
    held = [ROLES[name] for name in roles if name in ROLES]
    return Rights(
        permissions=frozenset().union(*(role.permissions for role in held)),
        data_scope=max((role.data_scope for role in held), default=policy_pb2.SCOPE_UNSPECIFIED),
    )


class AccountState(StrEnum):
    """Whether a user may sign on. LEFT is final."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    LEFT = "left"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person who signs on. `demo` marks those whose password everybody knows."""

    username: str
    display_name: str
    roles: tuple[str, ...]
    staff_id: int
    branch_id: int
    state: AccountState
    demo: bool
    created: datetime

    def principal(self, session_id: str) -> Principal:
        """The user as his tokens say."""
        rights = rights_of(self.roles)
        return Principal(
            subject=self.username,
            permissions=rights.permissions,
            data_scope=rights.data_scope,
            roles=self.roles,
            staff_id=self.staff_id,
            branch_id=self.branch_id,
            session_id=session_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRecord:
    """A user and the hash of his password."""

    user: User
    password_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UserChange:
    """What to change of a user; None leaves a field as it is."""

    roles: tuple[str, ...] | None = None
    state: AccountState | None = None
    staff_id: int | None = None
    branch_id: int | None = None

    def applied(self, user: User) -> User:
        """The user after the change.

        Raises:
            MeshError: USER_LEFT, when he would come back.
        """
        state = user.state if self.state is None else self.state
        if user.state is AccountState.LEFT and state is not AccountState.LEFT:
            raise MeshError(IdentityReason.USER_LEFT)
        return replace(
            user,
            state=state,
            roles=user.roles if self.roles is None else self.roles,
            staff_id=user.staff_id if self.staff_id is None else self.staff_id,
            branch_id=user.branch_id if self.branch_id is None else self.branch_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccount:
    """A program that signs on with a secret."""

    client_id: str
    description: str
    roles: tuple[str, ...]
    created: datetime

    @property
    def subject(self) -> str:
        """Whom its tokens name."""
        return SERVICE_PREFIX + self.client_id

    def principal(self, session_id: str) -> Principal:
        """The account as its tokens say."""
        rights = rights_of(self.roles)
        return Principal(
            subject=self.subject,
            permissions=rights.permissions,
            data_scope=rights.data_scope,
            roles=self.roles,
            session_id=session_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A time of being signed on: until `expires`, or until it was ended before that.

    From `access_until` on nobody accepts its latest access token any more, not even
    a host whose clock is late.
    """

    session_id: str
    subject: str
    expires: datetime
    access_until: datetime
    ended: bool = False

    def open_at(self, now: datetime) -> bool:
        """Whether it can be renewed."""
        return not self.ended and now < self.expires


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """What a refresh token stands for, and whether it was used before."""

    session: Session
    used: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Tokens answered to a sign-on. Service accounts get no refresh token."""

    access_token: str
    expires_in_s: int
    refresh_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """A session that ended; after `expires` none of its tokens is valid anyway."""

    session_id: str
    expires: datetime


def check_roles(roles: Collection[str], field: str) -> None:
    """Refuse roles that the catalogue does not name; `field` is where the request has them.

    Raises:
        MeshError: ROLE_UNKNOWN.
    """
    unknown = [
        Violation(f"{field}[{index}]", f"'{role}' is not a role")
        for index, role in enumerate(roles)
        if role not in ROLES
    ]
    if unknown:
        raise MeshError(IdentityReason.ROLE_UNKNOWN, violations=unknown)


def check_password(password: str, username: str, field: str) -> None:
    """Refuse a new password that anybody would try first; the contract bounds its length.

    Raises:
        MeshError: PASSWORD_WEAK.
    """
    if password.casefold() == username.casefold():
        violation = Violation(field, "must differ from the username")
        raise MeshError(IdentityReason.PASSWORD_WEAK, violations=[violation])
