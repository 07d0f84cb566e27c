"""The ids that a process holds of one sequence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Condition, RLock

from sequencer.sdk._chain import IdChain, RangeIterator
from sequencer.sdk._errors import SequenceEmpty, SequencerError
from sequencer.sdk._holdings import Holdings
from sequencer.sdk._lock import exclusive, owned
from sequencer.sdk._source import Lease

REFUSED_S = 1.0
"""How long a refusal stands before the source is asked again, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """What a buffer holds and has been through; `wanted` is what its users wait for."""

    held: int
    used: int
    waits: int
    leases: int
    wanted: int
    last_lease_number: int
    last_id: int


class IdBuffer:
    """Leased ranges on their way to `next_id`.

    Threads that find it empty wait for `put`; on an event loop they are told
    at once by SequenceEmpty, and so is a signal handler or finalizer that has
    interrupted its own thread in here. It may raise: each step leaves things whole.

    Args:
        name: of the sequence, for messages.
        timeout_s: how long a thread waits for ids.
        ask: called when more ids are needed, once until `put` or `fail`; must
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
        self._timeout_s = timeout_s
        self._ask = ask
        self._monotonic = monotonic
        self._closed = False
        self._holdings = Holdings()
        self._chain = IdChain(self._piece)
        self.next_id = self._chain.next_id
        self._forget()

    def _forget(self) -> None:
        self._lock = RLock()
        self._changed = Condition(self._lock)
        self._watchers: set[asyncio.Future[None]] = set()
        self._low = 0
        self._wanted = 1
        self._granted = 0
        self._waits = 0
        self._leases = 0
        self._last_lease = Lease(number=0, first=1, size=0)
        self._asked = False
        self._trouble: SequencerError | None = None
        self._refused_until = float("-inf")

    def reset(self) -> None:
        """Become the buffer of a new process, which holds nothing: for a forked child.

        The live iterator is emptied in place, because a bound `next_id` and the
        chain behind it go on being used.
        """
        self._holdings.forget()
        self._forget()

    def ranges(self, count: int) -> list[range]:
        """Take `count` ids, rising; waits like `next_id` until that many are held."""
        with exclusive(self._lock):
            self._await(lambda: self._holdings.ready_for(count), count)
            taken = self._holdings.ranges(count)
            self._ask_when_low()
            return taken

    def prefetch(self) -> None:
        """Ask for ids unless some are held or coming. Never waits."""
        with exclusive(self._lock):
            if not self._holdings.total:
                self._request()

    def put(self, lease: Lease, *, low: int) -> None:
        """Add a range; more are asked for once fewer than `low` ids are held."""
        with self._lock:
            self._holdings.put(lease)
            self._granted += lease.size
            self._leases += 1
            self._last_lease = lease
            self._low = low
            if self._enough():
                self._wanted = 1
            self._asked = False
            self._trouble = None
            self._refused_until = float("-inf")
            self._ask_when_low()
            self._notify()

    def fail(self, error: SequencerError, *, final: bool) -> None:
        """Note what is wrong; when `final`, nobody tries again and those who wait are told."""
        with self._lock:
            self._trouble = error
            if final:
                self._asked = False
                self._refused_until = self._monotonic() + REFUSED_S
                self._notify()

    def close(self) -> None:
        """Give out no more ids, except to a call that is interrupted for this one."""
        self._closed = True
        if owned(self._lock):
            return
        with self._lock:
            self._holdings.retire()
            self._notify()

    def drain(self) -> dict[int, int]:
        """Take out all that is held: the first unused id of each lease, by its number.

        Nothing when that interrupts a call which may be taking the same ids.
        """
        if owned(self._lock):
            return {}
        with self._lock:
            return self._holdings.clear()

    def level(self) -> Level:
        """The present state."""
        with exclusive(self._lock):
            held = self._holdings.total
            return Level(
                held=held,
                used=self._granted - held,
                waits=self._waits,
                leases=self._leases,
                wanted=self._wanted,
                last_lease_number=self._last_lease.number,
                last_id=self._last_lease.stop - 1,
            )

    @contextmanager
    def watching(self, changed: asyncio.Future[None]) -> Iterator[None]:
        """Within the block `changed` is completed, on its loop, once another try makes sense."""
        with exclusive(self._lock):
            self._watchers.add(changed)
            if self._enough() or self._closed or self._refused() or not self._asked:
                self._notify()
        try:
            yield
        finally:
            with self._lock:
                self._watchers.discard(changed)

    def timed_out(self) -> SequencerError:
        """What to raise after having waited in vain."""
        if self._trouble is not None:
            return _fresh(self._trouble)
        return SequenceEmpty(f"No ids of {self.name!r} came within {self._timeout_s:g} s")

    def _piece(self) -> RangeIterator:
        with exclusive(self._lock):
            while not self._holdings.live_size:
                if self._holdings.has_waiting(1) and not self._closed:
                    self._holdings.advance()
                    self._ask_when_low()
                else:
                    self._await(lambda: self._holdings.total > 0, 1)
            return self._holdings.live

    def _enough(self) -> bool:
        return self._holdings.total >= self._wanted

    def _await(self, ready: Callable[[], bool], wanted: int) -> None:
        """Return once `ready`. The lock is held by the caller, and let go while waiting."""
        if ready() and not self._closed:
            return
        self._waits += 1
        give_up = self._monotonic() + self._timeout_s
        while self._closed or not ready():
            self._wanted = max(self._wanted, wanted)
            self._refuse_or_request()
            left = give_up - self._monotonic()
            if not self._changed.wait(left) and not ready():
                raise self.timed_out()

    def _refuse_or_request(self) -> None:
        if self._closed:
            raise SequencerError(f"The client of sequence {self.name!r} is closed")
        if self._refused():
            raise self.timed_out()
        self._request()
        if _on_event_loop():
            raise SequenceEmpty(f"No ids of {self.name!r} are held: await next_id_async()")

    def _refused(self) -> bool:
        return self._monotonic() < self._refused_until

    def _ask_when_low(self) -> None:
        if not self._holdings.has_waiting(max(self._low, self._wanted)):
            self._request()

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


def _fresh(error: SequencerError) -> SequencerError:
    """The same error for one more caller, with a traceback of its own."""
    return type(error)(*error.args)


def _complete(changed: asyncio.Future[None]) -> None:
    if not changed.done():
        changed.set_result(None)
