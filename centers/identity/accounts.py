"""Use cases about accounts: users, their roles and state, service accounts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from google.protobuf.message import Message

from centers.identity.credentials import digest, new_secret
from centers.identity.domain import (
    SERVICE_PREFIX,
    AccountState,
    ServiceAccount,
    User,
    UserChange,
    check_password,
)
from centers.identity.errors import IdentityReason
from centers.identity.passwords import Passwords
from centers.identity.records import Changes, Records
from centers.identity.roles import ADMINISTRATOR, check_roles
from mesh.context import Principal
from mesh.errors import MeshError

_Response = TypeVar("_Response", bound=Message)


class Accounts:
    """Keeps users and service accounts.

    Args:
        demo: whether users of the demo may sign on, and so count as administrators.
    """

    def __init__(self, records: Records, passwords: Passwords, *, demo: bool) -> None:
        self._records = records
        self._passwords = passwords
        self._demo = demo

    async def create_user(
        self, user: User, password: str, respond: Callable[[User], _Response]
    ) -> _Response:
        """Add a user; answers what `respond` makes of him, kept as the answer of the call.

        Raises:
            MeshError: ROLE_UNKNOWN, PASSWORD_WEAK, USER_EXISTS or OVERLOADED.
        """
        check_roles(user.roles, "user.roles")
        check_password(password, user.username, "password")
        password_hash = await self._passwords.hash(password)
        async with self._records.transaction() as changes:
            if not await changes.add_user(user, password_hash):
                raise MeshError(IdentityReason.USER_EXISTS)
            response = respond(user)
            changes.answer(response)
        return response

    async def user(self, username: str) -> User:
        """The user of this name.

        Raises:
            MeshError: USER_NOT_FOUND.
        """
        record = await self._records.user(username)
        if record is None:
            raise MeshError(IdentityReason.USER_NOT_FOUND)
        return record.user

    async def users(self, after: str, limit: int) -> Sequence[User]:
        """At most `limit` users whose names follow `after`, by name."""
        return await self._records.users_after(after, limit)

    async def caller(self, principal: Principal) -> User | ServiceAccount:
        """The account of the caller.

        Raises:
            MeshError: USER_NOT_FOUND.
        """
        if not principal.subject.startswith(SERVICE_PREFIX):
            return await self.user(principal.subject)
        name = principal.subject.removeprefix(SERVICE_PREFIX)
        found = await self._records.service_account(name)
        if found is None:
            raise MeshError(IdentityReason.USER_NOT_FOUND)
        return found[0]

    async def update_user(self, username: str, change: UserChange) -> User:
        """Change a user. If that changes anything, his sessions end.

        Raises:
            MeshError: ROLE_UNKNOWN, USER_NOT_FOUND, USER_LEFT or LAST_ADMINISTRATOR.
        """
        check_roles(change.roles or (), "roles.roles")
        async with self._records.transaction() as changes:
            record = await changes.user(username)
            if record is None:
                raise MeshError(IdentityReason.USER_NOT_FOUND)
            changed = change.applied(record.user)
            if changed != record.user:
                await self._keep_an_administrator(changes, record.user, changed)
                await changes.save_user(changed)
                await changes.end_sessions_of(username)
        return changed

    async def create_service_account(self, account: ServiceAccount) -> str:
        """Add a service account; answers its secret, which nobody can learn again.

        Raises:
            MeshError: ROLE_UNKNOWN or SERVICE_ACCOUNT_EXISTS.
        """
        check_roles(account.roles, "roles")
        secret = new_secret()
        async with self._records.transaction() as changes:
            if not await changes.add_service_account(account, digest(secret)):
                raise MeshError(IdentityReason.SERVICE_ACCOUNT_EXISTS)
        return secret

    async def _keep_an_administrator(self, changes: Changes, user: User, changed: User) -> None:
        if not self._administers(user) or self._administers(changed):
            return
        holders = await changes.holders(ADMINISTRATOR)
        if not any(self._administers(other) for other in holders if other != user):
            raise MeshError(IdentityReason.LAST_ADMINISTRATOR)

    def _administers(self, user: User) -> bool:
        may_sign_on = user.state is AccountState.ACTIVE and (self._demo or not user.demo)
        return may_sign_on and ADMINISTRATOR in user.roles
