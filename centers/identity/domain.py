"""Users, service accounts, sessions, and the rules about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from centers.identity.errors import IdentityReason
from centers.identity.roles import rights_of
from mesh.context import Principal
from mesh.errors import MeshError, Violation

SERVICE_PREFIX: Final = "service:"
"""Begins the subject of a service account; no username can contain the colon."""


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
    """A session that ended; after `expires` none of its tokens is valid anyway.

    `place` is its place among all that ever ended, from 1 on.
    """

    session_id: str
    expires: datetime
    place: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Sessions that ended, and the place of the last one among all that ever did."""

    revocations: Sequence[Revocation]
    place: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Epochs:
    """The epoch in which this process's catalogue of roles came into force, and the present one.

    They differ while an older process of the centre still runs beside newer ones: its tokens
    are refused.
    """

    own: int
    present: int


def check_password(password: str, username: str, field: str) -> None:
    """Refuse a new password that anybody would try first; the contract bounds its length.

    Raises:
        MeshError: PASSWORD_WEAK.
    """
    if password.casefold() == username.casefold():
        violation = Violation(field, "must differ from the username")
        raise MeshError(IdentityReason.PASSWORD_WEAK, violations=[violation])
