"""The life of a session: opened, renewed with refresh tokens that work once, ended."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from centers.identity.credentials import digest, new_secret, new_session_id
from centers.identity.domain import AccountState, Grant, ServiceAccount, Session, User
from centers.identity.keyring import Keyring
from centers.identity.records import Changes
from mesh.clock import Clock
from mesh.log import get_logger
from mesh.telemetry import Meters

LATE_CLOCKS: Final = timedelta(seconds=60)
"""By how much the clocks of hosts that check tokens may differ from ours."""

SWEPT: Final = 20
"""Sessions of no use that each new one removes: enough that they never pile up."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetimes:
    """How long access tokens and sessions live."""

    access: timedelta
    session: timedelta


class Sessions:
    """Opens and renews sessions within the caller's transaction."""

    def __init__(
        self, keyring: Keyring, clock: Clock, lifetimes: Lifetimes, meters: Meters
    ) -> None:
        self._keyring = keyring
        self._clock = clock
        self._lifetimes = lifetimes
        self._reused = meters.counter("identity.refresh_tokens_reused")

    async def open(self, changes: Changes, user: User) -> Grant:
        """A new session of a user."""
        now = self._clock.now()
        refresh_token = new_secret()
        session = self._new(user.username, now, self._lifetimes.session)
        await self._add(changes, session, digest(refresh_token))
        return self._grant(session, user, now, refresh_token)

    async def open_service(self, changes: Changes, account: ServiceAccount) -> Grant:
        """A new session of a service account: it lives as long as its only token."""
        now = self._clock.now()
        session = self._new(account.subject, now, self._lifetimes.access)
        await self._add(changes, session, None)
        return self._grant(session, account, now)

    async def renew(self, changes: Changes, refresh_token: str) -> Grant | None:
        """The next tokens of the session; None when there are none to be had.

        A token that was used before ends the session, in the same transaction: who
        holds it is either a thief, or was robbed by the one who used it first.
        """
        now = self._clock.now()
        used, fresh = digest(refresh_token), new_secret()
        presented = await changes.presented(used)
        if presented is None:
            return None
        if presented.used:
            await self._end_reused(changes, presented.session)
            return None
        session = self._renewed(presented.session, now)
        record = await changes.user(session.subject)
        if record is None or not _may_go_on(session, record.user, now):
            return None
        await changes.renew_session(session, used=used, fresh=digest(fresh))
        return self._grant(session, record.user, now, fresh)

    async def _add(self, changes: Changes, session: Session, refresh_digest: str | None) -> None:
        await changes.sweep(SWEPT)
        await changes.add_session(session, refresh_digest)

    async def _end_reused(self, changes: Changes, session: Session) -> None:
        self._reused.add()
        _log.warning("refresh_reused", session=session.session_id)
        await changes.end_session(session.session_id)

    def _new(self, subject: str, now: datetime, lifetime: timedelta) -> Session:
        session = Session(
            session_id=new_session_id(),
            subject=subject,
            expires=now + lifetime,
            access_until=now,
        )
        return self._renewed(session, now)

    def _renewed(self, session: Session, now: datetime) -> Session:
        """The session with a new access token's expiry, which is never after its own."""
        expires = min(now + self._lifetimes.access, session.expires)
        return replace(session, access_until=expires + LATE_CLOCKS)

    def _grant(
        self, session: Session, account: User | ServiceAccount, now: datetime, refresh: str = ""
    ) -> Grant:
        ttl_s = int((session.access_until - LATE_CLOCKS - now).total_seconds())
        principal = account.principal(session.session_id)
        return Grant(
            access_token=self._keyring.sign(principal, issued=now, ttl_s=ttl_s),
            expires_in_s=ttl_s,
            refresh_token=refresh,
        )


def _may_go_on(session: Session, user: User, now: datetime) -> bool:
    return session.open_at(now) and user.state is AccountState.ACTIVE
