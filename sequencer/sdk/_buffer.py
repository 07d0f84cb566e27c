"""The ids that a process holds of one sequence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from threading import RLock

from sequencer.sdk._arrival import Arrival, on_event_loop
from sequencer.sdk._chain import IdChain, RangeIterator
from sequencer.sdk._demand import MAX_HELD
from sequencer.sdk._errors import SequenceEmpty, SequencerError, fresh
from sequencer.sdk._holdings import PIECE, Holdings, Note
from sequencer.sdk._lock import exclusive, owned
from sequencer.sdk._source import Lease, Witness

REFUSED_S = 1.0
"""How long a refusal stands before the source is asked again, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """What a buffer holds and has been through.

    `wanted` is what its users wait for, `last` the newest lease that it was given;
    at each of `jumps` fences it dropped ids, `dropped` in all.
    """

    held: int
    used: int
    waits: int
    leases: int
    wanted: int
    last: Witness | None
    jumps: int
    dropped: int


class Asked(IntEnum):
    """How urgently more ids have been asked for."""

    NOT = 0
    IN_TIME = 1
    WAITING = 2


class IdBuffer:
    """Leased ranges on their way to `next_id`.

    Threads that find it empty wait for `put`; on an event loop they are told
    at once by SequenceEmpty, and so is a signal handler or finalizer that has
    interrupted its own thread in here. It may raise: each step leaves things whole.

    Args:
        name: of the sequence, for messages.
        timeout_s: how long a thread waits for ids.
        ask: called when more ids are needed: once until `put` or `fail`, and once
            again when somebody has come to wait for them; must not block.
        monotonic: seconds that never step back.
        note: hears how many ids of a lease count as used, before they are.
        most: ids that are made ready at once, at most; 65,536 unless stated.
    """

    __slots__ = (
        "_arrival",
        "_ask",
        "_asked",
        "_chain",
        "_closed",
        "_dropped",
        "_granted",
        "_holdings",
        "_jumps",
        "_last",
        "_leases",
        "_lock",
        "_low",
        "_monotonic",
        "_most",
        "_refused_until",
        "_timeout_s",
        "_trouble",
        "_usual",
        "_waits",
        "_wanted",
        "ids",
        "name",
        "next_id",
    )

    def __init__(
        self,
        name: str,
        *,
        timeout_s: float,
        ask: Callable[[Asked], None],
        monotonic: Callable[[], float],
        note: Note | None = None,
        most: int | None = None,
    ) -> None:
        self.name = name
        self._most = most or PIECE
        self._timeout_s = timeout_s
        self._ask = ask
        self._monotonic = monotonic
        self._closed = False
        self._holdings = Holdings(note)
        self._chain = IdChain(self._piece)
        self.ids = self._chain.ids
        self.next_id = self._chain.next_id
        self._forget()

    def _forget(self) -> None:
        self._lock = RLock()
        self._arrival = Arrival(self._lock)
        self._low = 0
        self._usual = 0  # size of the block before
        self._wanted = 1
        self._granted = self._dropped = 0
        self._leases = self._jumps = self._waits = 0
        self._last: Lease | None = None
        self._asked = Asked.NOT
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
        """Take `count` ids; waits like `next_id` until that many are held.

        Raises:
            ValueError: `count` is negative or above 2³².
        """
        size, blocks, _ = self._holdings.blocks
        if size == count:
            for block in blocks:
                return [block]
        with exclusive(self._lock):
            return self._ranges(count)

    def prefetch(self) -> None:
        """Ask for ids unless some are held or coming. Never waits."""
        with exclusive(self._lock):
            if not self._holdings.total:
                self._request(Asked.IN_TIME)

    def put(self, lease: Lease, *, low: int) -> None:
        """Add a range; more are asked for once fewer than `low` ids are held.

        One of a later epoch tells that the source was put back to an older copy:
        ids held from before may be granted again to others, and are dropped.
        """
        with self._lock:
            if self._last is not None and lease.epoch > self._last.epoch:
                self._dropped += self._holdings.forget()
                self._jumps += 1
            self._holdings.put(lease)
            self._granted += lease.size
            self._leases += 1
            self._last = lease
            self._low = low
            if self._enough():
                self._wanted = 1
            self._asked = Asked.NOT
            self._trouble = None
            self._refused_until = float("-inf")
            self._ask_when_low()
            self._arrival.tell()

    def fail(self, error: SequencerError, *, final: bool) -> None:
        """Note what is wrong; when `final`, nobody tries again and those who wait are told."""
        with self._lock:
            self._trouble = error
            if final:
                self._asked = Asked.NOT
                self._refused_until = self._monotonic() + REFUSED_S
                self._arrival.tell()

    def close(self) -> None:
        """Give out no more ids, except to a call that is interrupted for this one."""
        self._closed = True
        if owned(self._lock):
            return
        with self._lock:
            self._holdings.retire()
            self._arrival.tell()

    def drain(self) -> list[tuple[Lease, int]]:
        """Take out all that is held: each lease, and how many of its ids were used.

        Nothing when that interrupts a call which may be taking the same ids.
        """
        if owned(self._lock):
            return []
        with self._lock:
            return self._holdings.clear()

    def level(self) -> Level:
        """The present state."""
        with exclusive(self._lock):
            held = self._holdings.total
            return Level(
                held=held,
                used=self._granted - self._dropped - held,
                waits=self._waits,
                leases=self._leases,
                wanted=self._wanted,
                last=self._last.witness if self._last is not None else None,
                jumps=self._jumps,
                dropped=self._dropped,
            )

    @property
    def closed(self) -> bool:
        """Whether no more ids are given out."""
        return self._closed

    @property
    def asked(self) -> bool:
        """Whether more ids are waited for or wanted soon."""
        with self._lock:
            return self._asked is not Asked.NOT and not self._closed

    @contextmanager
    def watching(self, changed: asyncio.Future[None]) -> Iterator[None]:
        """Within the block `changed` is completed, on its loop, once another try makes sense."""
        with exclusive(self._lock):
            self._arrival.add(changed)
            if self._enough() or self._closed or self._refused() or not self._asked:
                self._arrival.tell()
        try:
            yield
        finally:
            with self._lock:
                self._arrival.discard(changed)

    def timed_out(self) -> SequencerError:
        """What to raise after having waited in vain."""
        if self._trouble is not None:
            return fresh(self._trouble)
        return SequenceEmpty(f"No ids of {self.name!r} came within {self._timeout_s:g} s")

    def _piece(self) -> RangeIterator:
        with exclusive(self._lock):
            holdings = self._holdings
            if not holdings.live_size:
                self._await(lambda: holdings.ready_for(1), 1)
                if not holdings.left:
                    self._open(1)
                holdings.revive()
            return holdings.live

    def _ranges(self, count: int) -> list[range]:
        if not 0 <= count <= MAX_HELD:
            raise ValueError(f"count must be between 0 and {MAX_HELD}")
        holdings, taken, wanted = self._holdings, list[range](), count
        self._await(lambda: holdings.ready_for(count), count)
        while wanted:
            if not holdings.left:
                self._open(wanted)
            taken.append(holdings.cut(min(wanted, holdings.left)))
            wanted -= len(taken[-1])
        if count == self._usual and holdings.left >= count > 0:
            holdings.carve(count)
        self._usual = count
        return taken

    def _open(self, count: int) -> None:
        """Open a piece that ends where more must be asked for, if it reaches as far."""
        spare = self._holdings.waiting - max(self._low, self._wanted)
        self._holdings.open(max(count, min(self._most, spare) if spare > 0 else self._most))
        self._ask_when_low()

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
            if not self._arrival.wait(left) and not ready():
                raise self.timed_out()

    def _refuse_or_request(self) -> None:
        if self._closed:
            raise SequencerError(f"The client of sequence {self.name!r} is closed")
        if self._refused():
            raise self.timed_out()
        self._request(Asked.WAITING)
        if on_event_loop():
            raise SequenceEmpty(f"No ids of {self.name!r} are held: await next_id_async()")

    def _refused(self) -> bool:
        return self._monotonic() < self._refused_until

    def _ask_when_low(self) -> None:
        if not self._holdings.has_waiting(max(self._low, self._wanted)):
            self._request(Asked.IN_TIME)

    def _request(self, asked: Asked) -> None:
        if self._asked < asked and not (self._closed or self._refused()):
            self._ask(asked)
            self._asked = asked  # last: an interruption before it has more asked for once too often
