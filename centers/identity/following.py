"""Keeps a process of the centre level with the others: sessions that they ended, keys they made."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol, Self

from centers.identity.domain import Ended
from centers.identity.keyring import Keyring
from centers.identity.revocations import RevocationFeed
from mesh.background import Background
from mesh.clock import Clock
from mesh.log import get_logger
from mesh.storage import StorageError
from mesh.tokens import TokenVerifier

LOOK_S: Final = 0.25
"""How often it looks: what one process did, the others know within this time."""

_log = get_logger(__name__)


class EndedSessions(Protocol):
    """Where the ends of sessions are found."""

    async def ended(self, now: datetime) -> Ended:
        """Sessions that ended and may still have valid tokens."""

    async def ended_since(self, place: int) -> Ended:
        """Those that ended behind a place."""


class Follower(Background):
    """Tells the feed and the verifier for as long as it is entered; entering looks once."""

    def __init__(
        self,
        sessions: EndedSessions,
        feed: RevocationFeed,
        keyring: Keyring,
        verifier: TokenVerifier,
        clock: Clock,
    ) -> None:
        self._sessions = sessions
        self._feed = feed
        self._keyring = keyring
        self._verifier = verifier
        self._clock = clock
        self._keys: Sequence[dict[str, str]] = ()
        self._place = 0

    async def __aenter__(self) -> Self:
        self._take_keys()
        self._take(await self._sessions.ended(self._clock.now()))
        return await super().__aenter__()

    async def look(self) -> None:
        """Take what others did since the last time."""
        self._take_keys()
        self._take(await self._sessions.ended_since(self._place))

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.look()
            except (StorageError, ValueError) as error:
                _log.warning("others_not_followed", error=type(error).__name__)

    def _take(self, ended: Ended) -> None:
        self._feed.publish(ended.revocations)
        self._place = max(self._place, ended.place)

    def _take_keys(self) -> None:
        keys = self._keyring.public_keys()
        if keys != self._keys:
            self._verifier.set_keys(keys)
            self._keys = keys
