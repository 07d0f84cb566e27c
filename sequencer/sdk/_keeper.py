"""One thread that keeps the workers of a client's snowflake sequences leased."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from queue import Empty, SimpleQueue
from typing import Final

from sequencer.sdk._errors import (
    SequenceNotFound,
    SequencerError,
    SequencerUnavailable,
    WorkerLost,
)
from sequencer.sdk._late import LateThread
from sequencer.sdk._minter import Minter
from sequencer.sdk._supply import CALL_TIMEOUT_S, delays
from sequencer.sdk._worker import Tenancy, Worker, WorkerRequest, WorkerSource

MIN_WINDOW_S: Final = 2.0
MAX_WINDOW_S: Final = 900.0
"""Bounds of a window: what a crash keeps a worker id from others, and what the service grants."""

_log: Final = logging.getLogger("sequencer.sdk")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leasing:
    """Where workers come from, and how: the source, who asks it, for how long, the time."""

    source: WorkerSource
    client_id: str
    survive_s: float
    create_missing: bool
    monotonic: Callable[[], float]

    @property
    def window_s(self) -> float:
        """Windows to ask for: renewed after a third, so that what is to be survived is left."""
        return min(max(self.survive_s * 1.5, MIN_WINDOW_S), MAX_WINDOW_S)

    def tend(self, minter: Minter) -> None:
        """Renew the minter's worker; lease another one when it has none or has lost it.

        Raises:
            SequencerError: of the source; the minter goes on as long as it may.
        """
        sent_s = self.monotonic()
        try:
            worker = self._renewed(minter)
        except WorkerLost as error:
            minter.lose(error)
            worker = None
        if worker is None:
            sent_s = self.monotonic()
            worker = self._acquired(minter)
        minter.put(worker, sent_s)

    def release(self, minter: Minter) -> None:
        """Give the worker of a closed minter back."""
        worker, last_tick = minter.held()
        if worker is not None:
            next_tick = max(last_tick + 1, worker.from_tick)
            tenancy = self._tenancy(minter, worker)
            self.source.release(tenancy, next_tick, timeout_s=CALL_TIMEOUT_S)

    def _renewed(self, minter: Minter) -> Worker | None:
        worker, _ = minter.held()
        if worker is None:
            return None
        tenancy = self._tenancy(minter, worker)
        return self.source.renew(tenancy, self.window_s, timeout_s=CALL_TIMEOUT_S)

    def _acquired(self, minter: Minter) -> Worker:
        _, last_tick = minter.held()
        request = WorkerRequest(
            name=minter.name,
            client_id=self.client_id,
            window_s=self.window_s,
            last_tick=last_tick,
        )
        try:
            return self.source.acquire(request, timeout_s=CALL_TIMEOUT_S)
        except SequenceNotFound:
            if not self.create_missing:
                raise
            self.source.ensure(minter.name, timeout_s=CALL_TIMEOUT_S)
            return self.source.acquire(request, timeout_s=CALL_TIMEOUT_S)

    def _tenancy(self, minter: Minter, worker: Worker) -> Tenancy:
        return Tenancy(
            name=minter.name,
            client_id=self.client_id,
            worker_id=worker.worker_id,
            token=worker.token,
            until_tick=worker.until_tick,
            now_tick=minter.now_tick(),
        )


class Keeper:
    """Tends minters one after the other on a daemon thread that starts at the first need.

    While the source is away every attempt is followed by a pause, doubling from
    50 ms to 2 s with jitter, however many minters wait.
    """

    def __init__(self, leasing: Leasing) -> None:
        self._leasing = leasing
        self._asked: SimpleQueue[Minter | None] = SimpleQueue()
        self._due: dict[Minter, float] = {}
        self._queue: list[tuple[float, int, Minter]] = []
        self._order = count()
        self._thread = LateThread(self._run, "sequencer-workers")
        self._delays = delays()

    def ask(self, minter: Minter) -> None:
        """Have the minter tended now. Never waits for the source."""
        self._asked.put(minter)
        self._thread.need()

    def stop(self, minters: Iterable[Minter], *, timeout_s: float) -> None:
        """End the thread; then give back the workers of the (closed) minters."""
        if self._thread.end(lambda: self._asked.put(None), timeout_s=timeout_s):
            self._give_back(minters)

    def _run(self) -> None:
        while not self._thread.ending.is_set():
            minter = self._next()
            if minter is None:
                continue
            try:
                self._tend(minter)
            except Exception as error:  # noqa: BLE001 - the thread outlives a faulty source
                _log.exception("worker_not_kept")
                refusal = SequencerError(f"The source failed: {type(error).__name__}")
                minter.fail(refusal, final=True)

    def _next(self) -> Minter | None:
        """A minter that is asked for or due, once there is one; else None."""
        wait_s = None
        if self._queue:
            wait_s = max(self._queue[0][0] - self._leasing.monotonic(), 0)
        with suppress(Empty):
            return self._asked.get(timeout=wait_s)
        due, _, minter = heappop(self._queue)
        return minter if self._due.get(minter) == due else None

    def _tend(self, minter: Minter) -> None:
        self._due.pop(minter, None)
        try:
            self._leasing.tend(minter)
        except SequencerUnavailable as error:
            minter.fail(error, final=False)
            self._thread.ending.wait(next(self._delays))
            self._tend_after(minter, 0)
        except SequencerError as error:
            minter.fail(error, final=True)
            if minter.left_s():
                self._tend_after(minter, self._leasing.window_s / 3)
        else:
            self._delays = delays()
            self._tend_after(minter, self._leasing.window_s / 3)

    def _tend_after(self, minter: Minter, seconds: float) -> None:
        due = self._leasing.monotonic() + seconds
        self._due[minter] = due
        heappush(self._queue, (due, next(self._order), minter))

    def _give_back(self, minters: Iterable[Minter]) -> None:
        """Release all workers. Those that cannot be are free when their windows have ended."""
        with suppress(SequencerUnavailable):
            for minter in minters:
                try:
                    self._leasing.release(minter)
                except SequencerUnavailable:
                    raise
                except SequencerError as error:
                    _log.warning("worker_not_released: %s", error)
