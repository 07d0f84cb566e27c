"""Accounts, and the token that makes the first one, in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final, Protocol

import sqlalchemy as sa

from centers.identity.domain import AccountState, ServiceAccount, User, UserRecord
from centers.identity.tables import BOOTSTRAP_TOKENS, SERVICE_ACCOUNTS, USERS
from mesh.storage import Row, Statement, Transaction

_USER: Final = sa.select(USERS).where(USERS.c.username == sa.bindparam("name"))
_USERS_AFTER: Final = (
    sa.select(USERS)
    .where(USERS.c.username > sa.bindparam("name"))
    .order_by(USERS.c.username)
    .limit(sa.bindparam("limit"))
)
_REAL_USERS: Final = sa.select(USERS.c.username).where(USERS.c.demo.is_(False)).limit(1)
_DEMO_USERS: Final = sa.select(USERS).where(USERS.c.demo.is_(True))
_WITH_ROLE_LIKE: Final = sa.select(USERS).where(
    sa.type_coerce(USERS.c.roles, sa.String).contains(sa.bindparam("role"))
)
_CHANGED: Final = ("roles", "state", "staff_id", "branch_id")
_SAVE_USER: Final = (
    sa.update(USERS)
    .where(USERS.c.username == sa.bindparam("name"))
    .values({column: sa.bindparam(f"new_{column}") for column in _CHANGED})
)
_SET_PASSWORD: Final = (
    sa.update(USERS)
    .where(USERS.c.username == sa.bindparam("name"), USERS.c.password_hash == sa.bindparam("was"))
    .values(password_hash=sa.bindparam("hash"))
)
_SERVICE_ACCOUNT: Final = sa.select(SERVICE_ACCOUNTS).where(
    SERVICE_ACCOUNTS.c.client_id == sa.bindparam("name")
)


class Source(Protocol):
    """A store, or a transaction in it."""

    async def fetch_all(
        self, statement: Statement, parameters: Mapping[str, Any] | None = None
    ) -> Sequence[Row]:
        """As in `mesh.storage`."""


class AccountReader:
    """Implements `records.AccountReads`."""

    def __init__(self, source: Source) -> None:
        self._source = source

    async def user(self, username: str) -> UserRecord | None:
        rows = await self._source.fetch_all(_USER, {"name": username})
        if not rows:
            return None
        return UserRecord(user=_user(rows[0]), password_hash=rows[0].password_hash)

    async def users_after(self, username: str, limit: int) -> Sequence[User]:
        rows = await self._source.fetch_all(_USERS_AFTER, {"name": username, "limit": limit})
        return [_user(row) for row in rows]

    async def service_account(self, client_id: str) -> tuple[ServiceAccount, str] | None:
        rows = await self._source.fetch_all(_SERVICE_ACCOUNT, {"name": client_id})
        return (_service_account(rows[0]), rows[0].secret_digest) if rows else None

    async def has_users(self) -> bool:
        return bool(await self._source.fetch_all(_REAL_USERS))

    async def bootstrap_token(self) -> tuple[str, datetime] | None:
        rows = await self._source.fetch_all(sa.select(BOOTSTRAP_TOKENS))
        return (rows[0].digest, rows[0].expires) if rows else None


class AccountWriter(AccountReader):
    """Implements `records.AccountChanges`."""

    def __init__(self, transaction: Transaction) -> None:
        super().__init__(transaction)
        self._transaction = transaction

    async def add_user(self, user: User, password_hash: str) -> bool:
        if await self.user(user.username):
            return False
        values = {**asdict(user), "password_hash": password_hash}
        await self._transaction.execute(sa.insert(USERS), values)
        return True

    async def save_user(self, user: User) -> None:
        changed = {f"new_{column}": getattr(user, column) for column in _CHANGED}
        await self._transaction.execute(_SAVE_USER, {"name": user.username, **changed})

    async def set_password(self, username: str, password_hash: str, *, was: str) -> bool:
        values = {"name": username, "hash": password_hash, "was": was}
        return bool(await self._transaction.execute(_SET_PASSWORD, values))

    async def add_service_account(self, account: ServiceAccount, secret_digest: str) -> bool:
        if await self.service_account(account.client_id):
            return False
        values = {**asdict(account), "secret_digest": secret_digest}
        await self._transaction.execute(sa.insert(SERVICE_ACCOUNTS), values)
        return True

    async def holders(self, role: str) -> Sequence[User]:
        rows = await self._transaction.fetch_all(_WITH_ROLE_LIKE, {"role": role})
        return [user for user in map(_user, rows) if role in user.roles]

    async def demo_users(self) -> Sequence[User]:
        return [_user(row) for row in await self._transaction.fetch_all(_DEMO_USERS)]

    async def set_bootstrap_token(self, token_digest: str, expires: datetime) -> None:
        await self.drop_bootstrap_token()
        values = {"digest": token_digest, "expires": expires}
        await self._transaction.execute(sa.insert(BOOTSTRAP_TOKENS), values)

    async def drop_bootstrap_token(self) -> None:
        await self._transaction.execute(sa.delete(BOOTSTRAP_TOKENS))


def _user(row: Row) -> User:
    return User(
        username=row.username,
        display_name=row.display_name,
        roles=row.roles,
        staff_id=row.staff_id,
        branch_id=row.branch_id,
        state=AccountState(row.state),
        demo=row.demo,
        created=row.created,
    )


def _service_account(row: Row) -> ServiceAccount:
    return ServiceAccount(
        client_id=row.client_id,
        description=row.description,
        roles=row.roles,
        created=row.created,
    )
