"""Sends a read that is slow a second time, to another peer; the first answer wins."""

from __future__ import annotations

import heapq
import time
from itertools import count
from typing import TYPE_CHECKING, Final

from mesh.alarm import NEVER, Alarm
from mesh.attempt import Attempt, ChannelCall, carried
from mesh.resilience import Latencies, is_read

if TYPE_CHECKING:
    from mesh.balancing import Balancer
    from mesh.resilience import Counts
    from mesh.resilience.budget import Budget

MAX_WATCHED: Final = 16_384
"""Calls that are looked after at once; further ones are sent once."""


class Hedger:
    """Watches the reads of one channel.

    A second attempt goes by lane, and only to a peer that has one open. It is paid for out
    of the budget of retries; with none left, no call is sent twice.

    Args:
        balancer: chooses the other peer.
        budget: pays.
        counts: the numbers of the process.
        after_s: when a call is slow; 0: when it takes longer than 95 % of its method's.
    """

    def __init__(self, balancer: Balancer, budget: Budget, counts: Counts, after_s: float) -> None:
        self._balancer = balancer
        self._budget = budget
        self._counts = counts
        self._after_s = after_s
        self._watched: list[tuple[float, int, ChannelCall]] = []
        self._number = count()
        self._alarm = Alarm(self._look)

    def latencies(self, path: str) -> Latencies | None:
        """What is to be told of the calls of a method; None when they are never hedged."""
        return Latencies() if is_read(path) else None

    def watch(self, call: ChannelCall, latencies: Latencies) -> None:
        """Look after a call that is on its way."""
        call.told.latencies = latencies
        after_s = self._after_s or latencies.slow_s
        if after_s is None or len(self._watched) >= MAX_WATCHED:
            return
        due = time.monotonic() + after_s
        if due >= call.due:
            return
        heapq.heappush(self._watched, (due, next(self._number), call))
        if due < self._alarm.at:
            self._alarm.set(due)

    def stop(self) -> None:
        """Send nothing any more."""
        self._alarm.stop()
        self._watched.clear()

    def _look(self, now: float) -> float:
        watched = self._watched
        while watched and (watched[0][0] <= now or watched[0][2].is_done):
            call = heapq.heappop(watched)[2]
            if not call.is_done and call.told.hedge is None and call.holder is not None:
                self._hedge(call, now)
        return watched[0][0] if watched else NEVER

    def _hedge(self, call: ChannelCall, now: float) -> None:
        peer = self._balancer.choose(call.path, carried(call), call.peer)
        if peer is None or peer is call.peer:
            return
        lane = peer.lane(call.path, opening=False)
        if lane is None:
            return
        if not self._budget.pay(now):
            self._counts.unaffordable.add()
            return
        self._counts.hedges.add()
        call.told.hedge = attempt = Attempt.of(call, peer)
        lane.submit(attempt)
