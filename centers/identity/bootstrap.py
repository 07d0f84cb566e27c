"""The first administrator of a platform without users.

At a start without any user a token is written to a file that only the
platform's owner may read. Whoever has it may create one administrator, once,
within a day.
"""

from __future__ import annotations

import os
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Final

from centers.identity.credentials import digest, matches, new_secret
from centers.identity.domain import AccountState, User, check_password
from centers.identity.errors import IdentityReason
from centers.identity.passwords import Passwords
from centers.identity.records import AccountReads, Records
from centers.identity.roles import ADMINISTRATOR
from mesh.clock import Clock
from mesh.errors import MeshError
from mesh.log import get_logger

VALID_FOR: Final = timedelta(hours=24)
FILE_NAME: Final = "bootstrap-token"

_log = get_logger(__name__)


class Bootstrap:
    """Makes the token, and the administrator for it.

    Args:
        file: where the token lies for `engine up` to print, while it is of use.
    """

    def __init__(self, records: Records, passwords: Passwords, file: Path, clock: Clock) -> None:
        self._records = records
        self._passwords = passwords
        self._file = file
        self._clock = clock

    async def offer(self) -> None:
        """Make a new token if there is no user, else see that there is none."""
        token = new_secret()
        async with self._records.transaction() as changes:
            wanted = not await changes.has_users()
            if wanted:
                await changes.set_bootstrap_token(digest(token), self._clock.now() + VALID_FOR)
                # Within the transaction: of processes that start together the last one
                # leaves both its digest and its file.
                _write(self._file, token)
            else:
                await changes.drop_bootstrap_token()
                self._file.unlink(missing_ok=True)
        if wanted:
            _log.info("bootstrap_offered", file=self._file, hours=24)

    async def withdraw(self) -> None:
        """See that there is no token."""
        async with self._records.transaction() as changes:
            await changes.drop_bootstrap_token()
        self._file.unlink(missing_ok=True)

    async def create_administrator(self, token: str, username: str, password: str) -> User:
        """Create the first administrator; the token is of no use after that.

        Raises:
            MeshError: BOOTSTRAP_REFUSED, PASSWORD_WEAK, USER_EXISTS or OVERLOADED.
        """
        await self._check(self._records, token)
        check_password(password, username, "password")
        password_hash = await self._passwords.hash(password)
        user = self._administrator(username)
        async with self._records.transaction() as changes:
            await self._check(changes, token)
            if not await changes.add_user(user, password_hash):
                raise MeshError(IdentityReason.USER_EXISTS)
            await changes.drop_bootstrap_token()
        self._file.unlink(missing_ok=True)
        return user

    async def _check(self, accounts: AccountReads, token: str) -> None:
        offered = await accounts.bootstrap_token()
        if offered is None or await accounts.has_users():
            raise MeshError(IdentityReason.BOOTSTRAP_REFUSED)
        token_digest, expires = offered
        if not matches(token, token_digest) or self._clock.now() >= expires:
            raise MeshError(IdentityReason.BOOTSTRAP_REFUSED)

    def _administrator(self, username: str) -> User:
        return User(
            username=username,
            display_name=username,
            roles=(ADMINISTRATOR,),
            staff_id=0,
            branch_id=0,
            state=AccountState.ACTIVE,
            demo=False,
            created=self._clock.now(),
        )


def _write(path: Path, token: str) -> None:
    """Put the token where its owner alone can read it, whatever lay there before."""
    fresh = path.with_suffix(f".{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(token)
    fresh.rename(path)
