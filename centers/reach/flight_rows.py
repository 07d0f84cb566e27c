"""What is being handed over at this moment, by whichever process."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress
from datetime import timedelta
from typing import Final

import sqlalchemy as sa

from centers.reach.errand import PARTY_TIMEOUT_S
from centers.reach.tables import errand
from mesh.clock import Clock, to_micros
from mesh.storage import Store

LANDS_WITHIN_S: Final = PARTY_TIMEOUT_S + 0.05
"""After so long no party is asked any more about what was taken up before."""

SKEW: Final = timedelta(seconds=0.25)
"""How far the clocks of two processes may be apart."""

LOOK_S: Final = 0.02

_FLYING: Final = (
    sa.select(errand.c.contact_id)
    .where(
        errand.c.scene_version.in_(sa.bindparam("scenes", expanding=True)),
        errand.c.taken_us > sa.bindparam("since"),
    )
    .limit(1)
)


class Flights:
    """Sees in the database what any process has taken up and not brought to its end.

    What a party did not answer for cannot be told from what is under way: it counts
    as that for as long as a party may be asked.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def landed(self, scene_versions: Collection[int]) -> None:
        """Return once nothing of these is being handed over; 0.75 s is the longest.

        To be called once nothing more of them can be taken up.
        """
        # By the loop's time: a clock that is held still must not hold up the end.
        with suppress(TimeoutError):
            async with asyncio.timeout(LANDS_WITHIN_S):
                while await self._flying(scene_versions):  # noqa: ASYNC110 - in other processes
                    await asyncio.sleep(LOOK_S)

    async def _flying(self, scene_versions: Collection[int]) -> bool:
        since = self._clock.now() - timedelta(seconds=LANDS_WITHIN_S) - SKEW
        place = {"scenes": list(scene_versions), "since": to_micros(since)}
        return bool(await self._store.fetch_all(_FLYING, place))
