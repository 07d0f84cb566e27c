"""A process of the centre believes that nothing has ended only while it can look."""

from __future__ import annotations

from contextlib import aclosing
from datetime import datetime

import pytest

from centers.identity.app import Centre
from centers.identity.domain import Ended, Epochs
from centers.identity.following import Follower
from mesh.clock import ManualClock
from mesh.service import Parts
from mesh.storage import StoreUnavailable
from mesh.tokens import SILENCE_S


class Shared:
    """What the processes have in common, out of reach when told so."""

    is_down = False
    own = present = 1

    async def ended(self, now: datetime) -> Ended:
        return self._found(0)

    async def ended_since(self, place: int) -> Ended:
        return self._found(place)

    async def enact(self, catalogue: str) -> None:
        pass

    async def epochs(self, catalogue: str) -> Epochs:
        return Epochs(own=self.own, present=self.present)

    def _found(self, place: int) -> Ended:
        if self.is_down:
            raise StoreUnavailable
        return Ended(revocations=(), place=place)


@pytest.fixture
def shared() -> Shared:
    return Shared()


@pytest.fixture
def follower(centre: Centre, parts: Parts, clock: ManualClock, shared: Shared) -> Follower:
    return Follower(shared, centre.feed, centre.keyring, parts.verifier, clock)


async def test_while_it_cannot_look_neither_it_nor_its_watchers_hear_of_life(
    follower: Follower, shared: Shared, centre: Centre, parts: Parts, clock: ManualClock
) -> None:
    """A watch that begins then does not stand, and writes are refused after the bound."""
    async with follower:
        assert not parts.verifier.pulse.is_silent
        shared.is_down = True
        clock.advance(SILENCE_S)
        with pytest.raises(StoreUnavailable):
            await follower.look()
        assert parts.verifier.pulse.is_silent
        async with aclosing(centre.feed.watch()) as watch:
            assert (await anext(watch)).more
            shared.is_down = False
            await follower.look()
            assert not (await anext(watch)).more
        assert not parts.verifier.pulse.is_silent


async def test_an_older_catalogue_signs_for_its_own_epoch(
    follower: Follower, shared: Shared, centre: Centre
) -> None:
    """Its tokens are refused by all who know of the present one."""
    async with follower:
        shared.present = 2
        await follower.look()
        assert centre.keyring.epoch == 1
        async with aclosing(centre.feed.watch()) as watch:
            assert (await anext(watch)).epoch == 2
