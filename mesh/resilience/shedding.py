"""Refuses calls while a process has more to do than it can, what matters least first.

Two signs tell of overload: how long calls wait before they begin, or the event loop comes
round late; and how many calls are under way. From both follows one number, the pressure.
Between 0 and 1 it is the share of sheddable calls that are refused, between 1 and 2 that of
ordinary ones, and above 2 that of critical ones. Health checks are never refused.

A call that is refused was not begun: it costs little, and may be sent elsewhere whatever it
does.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Final

from engine.mesh.v1 import policy_pb2
from mesh.background import Background
from mesh.contract import Method
from mesh.lane.serving import Gate
from mesh.telemetry import Meters

LOOK_S: Final = 0.05
"""How often the loop is looked at."""
JUDGE_EVERY: Final = 2
"""Looks from one judgement to the next."""
GAIN: Final = 0.2
"""How much of the excess of the wait, in shares of what is bearable, becomes pressure at once."""
MOST_AT_ONCE: Final = 0.3
"""The pressure rises by no more from one judgement to the next."""
FULL_FROM: Final = 0.8
"""Share of the calls that may be under way from which on the least important are refused."""
HIGHEST: Final = 3.0
SPARE: Final = 0.1
"""Of the bound of calls under way, what is kept beside it for critical ones."""

_RANK: Final = {
    policy_pb2.CRITICALITY_SHEDDABLE: 0,
    policy_pb2.CRITICALITY_UNSPECIFIED: 1,
    policy_pb2.CRITICALITY_CRITICAL: 2,
}
_NAMES: Final = ("sheddable", "ordinary", "critical")


class Shedder(Background):
    """Knows the pressure, for as long as it is entered.

    Args:
        most: calls that may be under way; critical ones have a tenth more.
        bearable_s: how long calls may wait; 0: waits do not count.
        meters: get the pressure, and how many calls of each rank were refused.
        monotonic, chance: the clock in seconds, and a number from 0 to 1.
    """

    def __init__(
        self,
        most: int,
        bearable_s: float,
        *,
        meters: Meters,
        monotonic: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._most = most
        self._bearable_s = bearable_s
        self._monotonic = monotonic
        self._chance = chance
        self._refused = [meters.counter(f"mesh.calls_shed_{name}") for name in _NAMES]
        self._under_way: Callable[[], int] = int
        self._waited_s: float | None = None
        self._late_s: float | None = None
        self._wait_pressure = 0.0
        self.pressure = 0.0
        meters.gauge("mesh.shed_pressure", lambda: self.pressure)

    def watch(self, under_way: Callable[[], int]) -> None:
        """Count what is under way by `under_way`; before the first call."""
        self._under_way = under_way

    def gate(self, method: Method) -> Gate:
        rank = _RANK[method.policy.criticality]
        most = self._most + (round(self._most * SPARE) if rank == max(_RANK.values()) else 0)
        chance, refused = self._chance, self._refused[rank]

        def may_begin() -> bool:
            pressure = self.pressure
            if self._under_way() < most and (pressure <= rank or chance() >= pressure - rank):
                return True
            refused.add()
            return False

        return may_begin

    def waited(self, seconds: float) -> None:
        """A call has waited so long; what counts is the least since the last judgement.

        Callers take turns, so that one who sends too much waits by himself: only when all
        wait there is too much to do.
        """
        if self._waited_s is None or seconds < self._waited_s:
            self._waited_s = seconds

    def came_late(self, seconds: float) -> None:
        """The loop came round so much late; the least counts here too."""
        if self._late_s is None or seconds < self._late_s:
            self._late_s = seconds

    def judge(self) -> None:
        """Draw the pressure from what was seen since the last time."""
        wait_s = max(self._waited_s or 0.0, self._late_s or 0.0)
        self._waited_s = self._late_s = None
        if self._bearable_s:
            excess = GAIN * (wait_s / self._bearable_s - 1)
            risen = self._wait_pressure + min(excess, MOST_AT_ONCE)
            self._wait_pressure = min(max(risen, 0.0), HIGHEST)
        self._look()

    def _look(self) -> None:
        fullness = self._under_way() / self._most
        by_fullness = 2 * (fullness - FULL_FROM) / (1 - FULL_FROM)
        self.pressure = min(max(self._wait_pressure, by_fullness, 0.0), HIGHEST)

    async def _run(self) -> None:
        while True:
            for _ in range(JUDGE_EVERY):
                due = self._monotonic() + LOOK_S
                await asyncio.sleep(LOOK_S)
                self.came_late(self._monotonic() - due)
                self._look()
            self.judge()
