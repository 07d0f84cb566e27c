"""Fires events whose wait for an absence has run out."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from centers.decision.domain import Trigger, Verdict, Wait
from centers.decision.firing import fire
from centers.decision.reserve import Reserve
from centers.decision.store import DecisionStore
from centers.decision.waiting import End, Waiting
from mesh.background import Background
from mesh.clock import Clock, to_micros
from mesh.errors import MeshError
from mesh.log import get_logger
from mesh.storage import StorageError, Transaction

BATCH: Final = 200
"""Waits that one transaction ends."""

LOOK_S: Final = 1.0
"""How often to look at least; also how late a wait ends that another process began."""

LEAST_S: Final = 0.001

LAST_RETRY_S: Final = 30.0

_log = get_logger(__name__)


class WaitTimer(Background):
    """Ends waits when their time is up, for as long as it is entered.

    Waits lie in the database: after a crash they end late, but each once. A wait
    whose model is paused when its time is up does not fire; that of a version
    which another one replaced does, as the version that began it says.
    """

    def __init__(self, store: DecisionStore, ids: Reserve, clock: Clock) -> None:
        self._store = store
        self._waiting = Waiting(store)
        self._ids = ids
        self._clock = clock
        self._news = asyncio.Event()

    def wake(self) -> None:
        """There is a wait that may be due before those that were known."""
        self._news.set()

    async def end_due(self) -> int:
        """End the waits that are due, at most 200; how many there were.

        Raises:
            MeshError: IDS_UNAVAILABLE.
            StorageError: nothing was changed.
        """
        now_us = self._now_us()
        due_us = await self._store.waits.next_due_us()
        if due_us is None or due_us >= now_us:
            return 0
        ids = await self._ids.take(BATCH)
        async with self._store.transaction() as tx:
            waits = await self._store.waits.due(tx, now_us, BATCH)
            ends, fired = await self._ends(tx, waits, ids, now_us)
            await self._waiting.end(tx, ends)
            await fire(tx, self._store.triggers, fired)
        self._ids.give_back(ids)
        return len(waits)

    async def _run(self) -> None:
        retry_s = LOOK_S
        while True:
            try:
                self._news.clear()
                while await self.end_due():
                    continue
                await self._pause(await self._until_next_s())
                retry_s = LOOK_S
            except Exception as error:  # noqa: BLE001 - nothing may end it: waits would stay
                if not isinstance(error, MeshError | StorageError):
                    _log.exception("waits_failed")
                _log.warning("waits_not_ended", error=type(error).__name__, retry_s=retry_s)
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 2, LAST_RETRY_S)

    async def _ends(
        self, tx: Transaction, waits: Sequence[Wait], ids: list[int], now_us: int
    ) -> tuple[Sequence[End], Sequence[Trigger]]:
        live = {model.model_id for model in await self._store.launches.live(tx)}
        taken = await self._taken(tx, waits)
        ends: list[End] = []
        fired: list[Trigger] = []
        for wait in waits:
            windows = taken[wait.model_id, wait.model_version, wait.customer_id]
            if wait.model_id not in live:
                ends.append(End(wait=wait, verdict=Verdict.NOT_LIVE))
            elif wait.window_key in windows:
                ends.append(End(wait=wait, verdict=Verdict.COOLDOWN))
            else:
                windows.add(wait.window_key)
                fired.append(_trigger(wait, ids.pop(), now_us))
                trigger_id = fired[-1].trigger_id
                ends.append(End(wait=wait, verdict=Verdict.FIRED, trigger_id=trigger_id))
        return ends, fired

    async def _taken(
        self, tx: Transaction, waits: Sequence[Wait]
    ) -> defaultdict[tuple[int, int, int], set[int]]:
        """Windows that have a trigger, by model, version and customer."""
        by_version: defaultdict[tuple[int, int], list[Wait]] = defaultdict(list)
        for wait in waits:
            by_version[wait.model_id, wait.model_version].append(wait)
        taken: defaultdict[tuple[int, int, int], set[int]] = defaultdict(set)
        for version, of_version in by_version.items():
            windows = [wait.window_key for wait in of_version]
            customers = {wait.customer_id for wait in of_version}
            found = await self._store.triggers.taken(
                tx, *version, customers, first=min(windows), last=max(windows)
            )
            for customer, keys in found.items():
                taken[(*version, customer)] = keys
        return taken

    async def _until_next_s(self) -> float:
        due_us = await self._store.waits.next_due_us()
        if due_us is None:
            return LOOK_S
        return min(max((due_us - self._now_us()) / 1e6, LEAST_S), LOOK_S)

    async def _pause(self, seconds: float) -> None:
        # By the loop's time: a clock that is held still must not hold up the look at it.
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()

    def _now_us(self) -> int:
        return to_micros(self._clock.now())


def _trigger(wait: Wait, trigger_id: int, now_us: int) -> Trigger:
    return Trigger(
        trigger_id=trigger_id,
        model_id=wait.model_id,
        model_version=wait.model_version,
        scene_id=wait.scene_id,
        customer_id=wait.customer_id,
        event_type=wait.event_type,
        business_key=wait.business_key,
        occurred_us=wait.occurred_us,
        create_us=now_us,
        window_key=wait.window_key,
    )
