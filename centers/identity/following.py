"""Keeps a process of the centre level with the others: what they ended, made and put in force."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final, Protocol, Self

from centers.identity.domain import Ended, Epochs
from centers.identity.keyring import Keyring
from centers.identity.revocations import RevocationFeed
from centers.identity.roles import catalogue_version
from mesh.background import Background
from mesh.clock import Clock
from mesh.log import get_logger
from mesh.storage import StorageError
from mesh.tokens import SILENCE_S, TokenVerifier

LOOK_S: Final = 0.25
"""How often it looks: what one process did, the others know within this time."""

_log = get_logger(__name__)


class Shared(Protocol):
    """What the processes of the centre have in common."""

    async def ended(self, now: datetime) -> Ended:
        """Sessions that ended and may still have valid tokens."""

    async def ended_since(self, place: int) -> Ended:
        """Those that ended behind a place."""

    async def enact(self, catalogue: str) -> None:
        """Let a catalogue of roles be in force."""

    async def epochs(self, catalogue: str) -> Epochs:
        """When this catalogue came into force, and the present epoch."""


class Follower(Background):
    """Tells the feed and the verifier for as long as it is entered; entering looks once.

    A look that fails gives no sign of life: then neither this process nor those that it
    tells go on to believe that nothing has ended.
    """

    def __init__(
        self,
        shared: Shared,
        feed: RevocationFeed,
        keyring: Keyring,
        verifier: TokenVerifier,
        clock: Clock,
        *,
        limit_s: float = SILENCE_S,
    ) -> None:
        self._shared = shared
        self._feed = feed
        self._keyring = keyring
        self._verifier = verifier
        self._clock = clock
        self._limit_s = limit_s
        self._catalogue = catalogue_version()
        self._keys: Sequence[dict[str, str]] = ()
        self._place = 0

    async def __aenter__(self) -> Self:
        self._verifier.pulse.expect(self._limit_s)
        await self._shared.enact(self._catalogue)
        begun = self._verifier.pulse.now()
        self._take_keys()
        self._take(await self._shared.ended(self._clock.now()))
        await self._confirm(begun)
        return await super().__aenter__()

    async def look(self) -> None:
        """Take what others did since the last time."""
        begun = self._verifier.pulse.now()
        self._take_keys()
        self._take(await self._shared.ended_since(self._place))
        await self._confirm(begun)

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):  # at once after what this process did
                async with asyncio.timeout(LOOK_S):
                    await self._feed.published.wait()
            self._feed.published.clear()
            try:
                await self.look()
            except (StorageError, ValueError) as error:
                _log.warning("others_not_followed", error=type(error).__name__)

    def _take(self, ended: Ended) -> None:
        self._feed.publish(ended.revocations)
        self._place = max(self._place, ended.place)

    async def _confirm(self, begun: float) -> None:
        """Say that all was taken that there was when the look began."""
        epochs = await self._shared.epochs(self._catalogue)
        self._keyring.epoch = epochs.own
        self._verifier.begin_epoch(epochs.present)
        self._verifier.pulse.beat(begun)
        self._feed.beat(epochs.present, self._place)

    def _take_keys(self) -> None:
        keys = self._keyring.public_keys()
        if keys != self._keys:
            self._verifier.set_keys(keys)
            self._keys = keys
