"""Clocks that a test moves, and minters of which each step is the test's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sequencer.sdk._keeper import Leasing
from sequencer.sdk._minter import Minter
from sequencer.sdk._worker import WorkerSource

NAME = "shop.event"
START = datetime(2026, 11, 26, tzinfo=UTC)
MS = 1_000_000


class Wall:
    """A server's clock: it may step anywhere."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def step(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Monotonic:
    """A client's clock: it only goes forward."""

    def __init__(self) -> None:
        self.ns = 1_000_000_000

    def __call__(self) -> float:
        return self.ns / 1e9

    def step(self, seconds: float) -> None:
        self.ns += int(seconds * 1e9)


class Client:
    """A process: its minter, whose keeper comes round when the test says so."""

    def __init__(
        self, source: WorkerSource, client_id: str = "a", *, survive_s: float = 60
    ) -> None:
        self.clock = Monotonic()
        self.asked = 0
        self.last_id = -1
        self.minter = Minter(NAME, timeout_s=0, ask=self._ask, monotonic=self.clock)
        self.leasing = Leasing(
            source=source,
            client_id=client_id,
            survive_s=survive_s,
            create_missing=False,
            monotonic=self.clock,
        )

    def _ask(self) -> None:
        self.asked += 1

    def tend(self) -> None:
        self.leasing.tend(self.minter)

    def take(self, count: int) -> list[int]:
        """Up to `count` ids, as many as the time allows."""
        return [id_ for ids in self.minter.some(count) for id_ in ids]

    @property
    def last_tick(self) -> int:
        return self.minter.held()[1]
