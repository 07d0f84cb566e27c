"""The ids that a process makes of one snowflake sequence, for all of its threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from math import inf
from threading import Condition, RLock
from typing import Final

from sequencer.sdk._errors import SequenceEmpty, SequencerError, WorkerLost
from sequencer.sdk._lock import exclusive
from sequencer.sdk._open_tick import OpenTick
from sequencer.sdk._ticks import NANO, Ticks, nanos
from sequencer.sdk._worker import Worker

REFUSED_S: Final = 1.0
"""How long a refusal stands before the source is asked again, in seconds."""


class Minter:
    """Makes the ids of the worker that this process holds.

    Threads wait for a worker, and for time to pass; on an event loop, and for a
    signal handler that has interrupted its own thread in here, SequenceEmpty is
    raised at once.

    Args:
        name: of the sequence, for messages.
        timeout_s: how long a thread waits for a worker.
        ask: called when one is needed, once until `put` or a final `fail`; must
            not block.
        monotonic: seconds that never step back.
    """

    def __init__(
        self,
        name: str,
        *,
        timeout_s: float,
        ask: Callable[[], None],
        monotonic: Callable[[], float],
    ) -> None:
        self.name = name
        self.waits = 0
        self.workers = 0
        self._timeout_s = timeout_s
        self._ask = ask
        self._monotonic = monotonic
        self._closed = False
        self._tick = OpenTick(monotonic, self._advance)
        self.next_id = self._tick.next_id
        self._ticks = Ticks()
        self._forget()

    def _forget(self) -> None:
        self._lock = RLock()
        self._changed = Condition(self._lock)
        self._watchers: set[asyncio.Future[None]] = set()
        self._ticks.worker = None
        self._asked = False
        self._trouble: SequencerError | None = None
        self._refused_until = 0.0

    def reset(self) -> None:
        """Become the minter of a new process, which holds no worker: for a forked child.

        The live iterator is emptied in place, because a bound `next_id` goes on
        being used. Ids go on above those of the parent.
        """
        self._tick.stop()
        self._forget()

    def put(self, worker: Worker, sent_s: float) -> None:
        """Go on with a worker, or with a longer window of the same, asked for at `sent_s`.

        Raises:
            SequencerUnavailable: the window begins before the last tick used.
        """
        with self._lock:
            held = self._ticks.worker
            self._ticks.hold(worker, nanos(sent_s), self._now_ns())
            if held is None or held.token != worker.token or held.worker_id != worker.worker_id:
                self._tick.stop()
                self.workers += 1
            self._asked = False
            self._trouble = None
            self._refused_until = 0.0
            self._notify()

    def lose(self, error: SequencerError) -> None:
        """Make no more ids of the worker: somebody else may hold it."""
        with self._lock:
            self._ticks.worker = None
            self._tick.stop()
            self._trouble = error

    def fail(self, error: SequencerError, *, final: bool) -> None:
        """Note what is wrong; when `final`, nobody tries again and those who wait are told."""
        with self._lock:
            self._trouble = error
            if final:
                self._asked = False
                self._refused_until = self._monotonic() + REFUSED_S
                self._notify()

    def close(self) -> None:
        """Make no more ids."""
        self._closed = True
        with self._lock:
            self._tick.stop()
            self._notify()

    def prefetch(self) -> None:
        """Ask for a worker unless there is one. Never waits."""
        with exclusive(self._lock):
            if self._ticks.worker is None:
                self._request()

    def held(self) -> tuple[Worker | None, int]:
        """The worker, and the last tick that is used; -1 for none."""
        with self._lock:
            return self._ticks.worker, self._ticks.last_tick

    def now_tick(self) -> int:
        """The present tick, by the time of the worker that is held."""
        with self._lock:
            return self._ticks.now(self._now_ns())

    def left_s(self) -> float:
        """Seconds until the window ends; 0 without one."""
        with exclusive(self._lock):
            return self._ticks.left_s(self._now_ns())

    def some(self, count: int) -> list[range]:
        """Up to `count` ids, rising: as many as there is time for. Never waits.

        Raises:
            SequenceEmpty: there are none at this moment.
        """
        with exclusive(self._lock):
            taken = self._some(count)
            if not taken and count:
                if self._delay_s() == inf:
                    self._refuse_or_request()
                raise self._empty()
            return taken

    def ranges(self, count: int) -> list[range]:
        """Take `count` ids, rising; waits for a worker, and for time to pass."""
        taken: list[range] = []
        with exclusive(self._lock):
            give_up = self._give_up()
            while count:
                some = self._some(count)
                taken += some
                count -= sum(map(len, some))
                if count:
                    self._wait(give_up)
        return taken

    def delay_s(self) -> float:
        """Seconds until there may be ids; infinite until something happens."""
        with exclusive(self._lock):
            return self._delay_s()

    @contextmanager
    def watching(self, changed: asyncio.Future[None]) -> Iterator[None]:
        """Within the block `changed` is completed, on its loop, once another try makes sense."""
        with exclusive(self._lock):
            self._watchers.add(changed)
            self._request()
            if not self._asked or self._delay_s() < inf:
                self._notify()
        try:
            yield
        finally:
            with self._lock:
                self._watchers.discard(changed)

    def timed_out(self) -> SequencerError:
        """What to raise after having waited in vain."""
        if self._ticks.worker is not None:
            cause = self._trouble or "it was not renewed"
            return WorkerLost(f"The window of a worker of {self.name!r} has ended: {cause}")
        if self._trouble is not None:
            return type(self._trouble)(*self._trouble.args)
        return SequenceEmpty(f"No worker of {self.name!r} came within {self._timeout_s:g} s")

    def _advance(self) -> int:
        with exclusive(self._lock):
            give_up = self._give_up()
            while True:
                if self._ready():
                    for id_ in self._tick.live:
                        return id_
                else:
                    self._wait(give_up)

    def _some(self, count: int) -> list[range]:
        taken: list[range] = []
        while count and self._ready():
            if part := self._tick.cut(count):
                taken.append(part)
                count -= len(part)
        return taken

    def _ready(self) -> bool:
        """Whether there are ids: of the open tick, or else of the next one, if its time is."""
        now_s = self._monotonic()
        if self._tick.has_ids(now_s):
            return True
        if self._closed or self._ticks.delay_s(nanos(now_s)):
            return False
        block, end_ns = self._ticks.open(nanos(now_s))
        self._tick.begin(block, end_ns / NANO)
        return True

    def _now_ns(self) -> int:
        return nanos(self._monotonic())

    def _give_up(self) -> float:
        return self._monotonic() + self._timeout_s

    def _wait(self, give_up: float) -> None:
        """Return when it makes sense to look again. The lock is let go of meanwhile."""
        delay_s = self._delay_s()
        if delay_s == inf:
            self.waits += 1
            self._refuse_or_request()
            delay_s = give_up - self._monotonic()
            if delay_s <= 0:
                raise self.timed_out()
        if _on_event_loop():
            raise self._empty()
        self._changed.wait(delay_s)

    def _refuse_or_request(self) -> None:
        if self._closed:
            raise SequencerError(f"The client of sequence {self.name!r} is closed")
        if self._refused():
            raise self.timed_out()
        self._request()

    def _empty(self) -> SequenceEmpty:
        return SequenceEmpty(f"No ids of {self.name!r} at this moment: await next_id_async()")

    def _delay_s(self) -> float:
        return inf if self._closed else self._ticks.delay_s(self._now_ns())

    def _refused(self) -> bool:
        return self._monotonic() < self._refused_until

    def _request(self) -> None:
        if not (self._asked or self._closed or self._refused()):
            self._ask()
            self._asked = True  # last: an interruption before it has more asked for once too often

    def _notify(self) -> None:
        self._changed.notify_all()
        for changed in tuple(self._watchers):
            with suppress(RuntimeError):  # its loop has been closed
                changed.get_loop().call_soon_threadsafe(_complete, changed)


def _on_event_loop() -> bool:
    """Whether this thread is running an event loop, which must not be blocked."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _complete(changed: asyncio.Future[None]) -> None:
    if not changed.done():
        changed.set_result(None)
