"""Use cases of signing on: passwords and secrets in, tokens out, and the end of sessions."""

from __future__ import annotations

from centers.identity.credentials import matches
from centers.identity.domain import AccountState, Grant, UserRecord, check_password
from centers.identity.errors import IdentityReason
from centers.identity.lockout import Lockout
from centers.identity.passwords import Passwords
from centers.identity.records import Records
from centers.identity.sessions import Sessions
from mesh.context import Principal
from mesh.errors import MeshError

NO_SECRET = "0" * 64
"""Compared with the secret of a service account that does not exist; no digest is like it."""


class SignOn:
    """Signs users and service accounts on and off.

    Args:
        demo: whether users of the demo may sign on.
    """

    def __init__(
        self,
        records: Records,
        sessions: Sessions,
        passwords: Passwords,
        lockout: Lockout,
        *,
        demo: bool,
    ) -> None:
        self._records = records
        self._sessions = sessions
        self._passwords = passwords
        self._lockout = lockout
        self._demo = demo

    async def sign_on(self, username: str, password: str) -> Grant:
        """Tokens of a new session.

        Neither answer nor timing tells whether there is such a user; only who
        knows the password learns that the account is suspended.

        Raises:
            MeshError: SIGN_ON_FAILED, TOO_MANY_ATTEMPTS, ACCOUNT_SUSPENDED or OVERLOADED.
        """
        record = await self._records.user(username)
        if not await self._knows(username, record, password) or record is None:
            raise MeshError(IdentityReason.SIGN_ON_FAILED)
        if record.user.demo and not self._demo:
            raise MeshError(IdentityReason.SIGN_ON_FAILED)
        grant = await self._open(record, password)
        # None: the password was changed meanwhile; the new one decides.
        return grant or await self.sign_on(username, password)

    async def refresh(self, refresh_token: str) -> Grant:
        """The next tokens of a session.

        Raises:
            MeshError: REFRESH_TOKEN_INVALID.
        """
        async with self._records.transaction() as changes:
            grant = await self._sessions.renew(changes, refresh_token)
        if grant is None:
            raise MeshError(IdentityReason.REFRESH_TOKEN_INVALID)
        return grant

    async def sign_out(self, principal: Principal, *, everywhere: bool) -> int:
        """End the caller's session, or all of his; answers how many were open."""
        async with self._records.transaction() as changes:
            if everywhere:
                return await changes.end_sessions_of(principal.subject)
            return await changes.end_session(principal.session_id)

    async def change_password(self, principal: Principal, old: str, new: str) -> None:
        """Change the caller's password and end his other sessions.

        Raises:
            MeshError: PASSWORD_WEAK, PASSWORD_WRONG, TOO_MANY_ATTEMPTS, OVERLOADED, or
                USER_NOT_FOUND for a service account.
        """
        username = principal.subject
        check_password(new, username, "new_password")
        record = await self._records.user(username)
        if record is None:
            raise MeshError(IdentityReason.USER_NOT_FOUND)
        if not await self._knows(username, record, old):
            raise MeshError(IdentityReason.PASSWORD_WRONG)
        password_hash = await self._passwords.hash(new)
        async with self._records.transaction() as changes:
            if not await changes.set_password(username, password_hash, was=record.password_hash):
                raise MeshError(IdentityReason.PASSWORD_WRONG)
            await changes.end_sessions_of(username, keep=principal.session_id)

    async def issue_service_token(self, client_id: str, secret: str) -> Grant:
        """An access token for a service account.

        Raises:
            MeshError: SIGN_ON_FAILED.
        """
        found = await self._records.service_account(client_id)
        account, secret_digest = found or (None, NO_SECRET)
        if not matches(secret, secret_digest) or account is None:
            raise MeshError(IdentityReason.SIGN_ON_FAILED)
        async with self._records.transaction() as changes:
            return await self._sessions.open_service(changes, account)

    async def _knows(self, username: str, record: UserRecord | None, password: str) -> bool:
        """Whether the password is right; counted against the name when it is not."""
        await self._lockout.admit(username)
        kept = record.password_hash if record else None
        try:
            known = await self._passwords.verify(kept, password)
        except MeshError:  # refused for want of room, so nothing was guessed
            await self._lockout.withdraw(username)
            raise
        if known:
            await self._lockout.succeeded(username)
        return known

    async def _open(self, record: UserRecord, password: str) -> Grant | None:
        """Open a session for a user whose password was checked; None if it changed since."""
        username, checked = record.user.username, record.password_hash
        outdated = self._passwords.outdated(checked)
        upgraded = await self._passwords.hash(password) if outdated else None
        async with self._records.transaction() as changes:
            current = await changes.user(username)
            if current is None or current.user.state is not AccountState.ACTIVE:
                raise MeshError(IdentityReason.ACCOUNT_SUSPENDED)
            if current.password_hash != checked:
                return None
            if upgraded is not None:
                await changes.set_password(username, upgraded, was=checked)
            return await self._sessions.open(changes, current.user)
