"""What the use cases ask of their store."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from google.protobuf.message import Message

from centers.identity.domain import (
    Ended,
    Epochs,
    Presented,
    ServiceAccount,
    Session,
    User,
    UserRecord,
)


class AccountReads(Protocol):
    """Looks accounts up."""

    async def user(self, username: str) -> UserRecord | None:
        """The user of this name."""

    async def users_after(self, username: str, limit: int) -> Sequence[User]:
        """At most `limit` users whose names follow `username`, by name."""

    async def service_account(self, client_id: str) -> tuple[ServiceAccount, str] | None:
        """The service account of this name and the digest of its secret."""

    async def has_users(self) -> bool:
        """Whether there is any user but those of the demo."""

    async def bootstrap_token(self) -> tuple[str, datetime] | None:
        """Digest and expiry of the bootstrap token, of which there is one at most."""


class AccountChanges(AccountReads, Protocol):
    """Changes accounts, within a transaction."""

    async def add_user(self, user: User, password_hash: str) -> bool:
        """Add a user; False when the name is taken."""

    async def save_user(self, user: User) -> None:
        """Keep what may change of a user: roles, state, staff id, branch."""

    async def set_password(self, username: str, password_hash: str, *, was: str) -> bool:
        """Replace the hash; False when it is no longer the one that `was` there."""

    async def add_service_account(self, account: ServiceAccount, secret_digest: str) -> bool:
        """Add a service account; False when the name is taken."""

    async def holders(self, role: str) -> Sequence[User]:
        """The users who hold a role."""

    async def demo_users(self) -> Sequence[User]:
        """The users of the demo."""

    async def set_bootstrap_token(self, token_digest: str, expires: datetime) -> None:
        """Make this the only bootstrap token."""

    async def drop_bootstrap_token(self) -> None:
        """Let there be no bootstrap token."""


class SessionChanges(Protocol):
    """Changes sessions, within a transaction."""

    async def add_session(self, session: Session, refresh_digest: str | None) -> None:
        """Add a session with its first refresh token, if it has one."""

    async def presented(self, refresh_digest: str) -> Presented | None:
        """What a refresh token stands for; None for one that was never given out."""

    async def renew_session(self, session: Session, *, used: str, fresh: str) -> None:
        """Keep the session's new expiry; the token `used` is replaced by `fresh` (digests)."""

    async def end_session(self, session_id: str) -> int:
        """End the session if it is open; answers how many were (0 or 1)."""

    async def end_sessions_of(self, subject: str, *, keep: str = "") -> int:
        """End all open sessions of `subject` but `keep`; answers how many were."""

    async def sweep(self, limit: int) -> None:
        """Remove at most `limit` sessions that are of no use any more."""


class Changes(AccountChanges, SessionChanges, Protocol):
    """Everything that takes effect together."""

    def answer(self, response: Message) -> None:
        """The answer of the call that the changes are the effect of (`mesh.storage`)."""


class Records(AccountReads, Protocol):
    """The centre's store."""

    async def ended(self, now: datetime) -> Ended:
        """Sessions that ended and may still have valid tokens."""

    async def ended_since(self, place: int) -> Ended:
        """Those that ended behind a place, through whichever process of the centre."""

    async def enact(self, catalogue: str) -> None:
        """Let a catalogue of roles be in force; a new epoch begins unless it is already."""

    async def epochs(self, catalogue: str) -> Epochs:
        """When this catalogue came into force, and the present epoch."""

    def transaction(self) -> AbstractAsyncContextManager[Changes]:
        """Changes that are durable, and told to whom it concerns, when the block is left."""
