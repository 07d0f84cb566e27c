"""Ids that rise over all clients: none is held, each is asked for when it is wanted.

Callers who come while a request is under way wait together for the next one. The
ids of a request go to those who waited before it was sent, or to nobody: so an id
that anybody was given is below every id whose caller came later.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTimeError
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Event, Lock, RLock, Thread

from sequencer.sdk._arrival import on_event_loop
from sequencer.sdk._demand import MAX_HELD
from sequencer.sdk._errors import SequenceEmpty, SequencerError, SequencerUnavailable, fresh
from sequencer.sdk._lock import owned
from sequencer.sdk._source import Lease, LeaseRequest, Witness
from sequencer.sdk._supply import Supply, delays

MAX_THREADS = 4
"""Threads that ask for ids; so many sequences of a client are asked at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StrictStats:
    """How a strict sequence fares in this process.

    `wasted` counts ids whose callers had gone when they came.
    """

    used: int
    leases: int
    wasted: int


@dataclass(slots=True)
class _Ticket:
    """A caller who waits for `count` ids, and has got some when a grant did not suffice."""

    count: int
    got: list[range] = field(default_factory=list)
    ids: Future[list[range]] = field(default_factory=Future)

    def take(self, ids: range) -> range:
        """Take the first ids as far as they are wanted; answers the rest."""
        taken = min(self.count, len(ids))
        self.got.append(ids[:taken])
        self.count -= taken
        return ids[taken:]


class Askers:
    """A few daemon threads that serve lines of callers; they start when they are needed."""

    def __init__(self) -> None:
        self.stopping = Event()
        self._lines: SimpleQueue[Line | None] = SimpleQueue()
        self._starting = RLock()
        self._counting = Lock()
        self._threads = 0
        self._idle = 0

    def serve(self, line: Line) -> None:
        """Have the callers in the line served. Never waits."""
        self._lines.put(line)
        if not self._idle and self._threads < MAX_THREADS and not owned(self._starting):
            with self._starting:
                if self._threads < MAX_THREADS:
                    self._threads += 1
                    Thread(target=self._run, name="sequencer-strict", daemon=True).start()

    def stop(self) -> None:
        """End the threads after the calls that they are in."""
        self.stopping.set()
        for _ in range(MAX_THREADS):
            self._lines.put(None)

    def _run(self) -> None:
        while not self.stopping.is_set():
            self._count(1)
            line = self._lines.get()
            self._count(-1)
            if line is None:
                return
            line.serve()

    def _count(self, change: int) -> None:
        """Note that one of the threads begins or ends to wait. Called by them alone."""
        with self._counting:
            self._idle += change


class Line:
    """The callers who wait for ids of one sequence. One request is under way at a time."""

    def __init__(self, name: str, supply: Supply, askers: Askers) -> None:
        self.name = name
        self._closed = False
        self.begin(supply, askers)

    def begin(self, supply: Supply, askers: Askers) -> None:
        """Begin anew, with nobody waiting: also in a forked child."""
        self._supply = supply
        self._askers = askers
        self._waiting: deque[_Ticket] = deque()
        self._busy = Lock()
        self._delays = delays(random.uniform)
        self._last: Witness | None = None
        self.trouble: SequencerError | None = None
        self.stats = StrictStats(used=0, leases=0, wasted=0)

    def join(self, count: int) -> Future[list[range]]:
        """Wait for ids from now on; cancelling it leaves the line."""
        if self._closed:
            raise SequencerError(f"The client of sequence {self.name!r} is closed")
        ticket = _Ticket(count)
        self._waiting.append(ticket)
        if self._closed:  # just now: nobody would look again
            self.close()
        if not self._busy.locked():  # else its holder looks again when it has let go
            self._askers.serve(self)
        return ticket.ids

    def serve(self) -> None:
        """Serve who waits, until nobody does or another thread is at it."""
        while self._waiting and self._busy.acquire(blocking=False):
            try:
                self._ask(list(self._boarding()))
            finally:
                self._busy.release()

    def close(self) -> None:
        """Refuse who waits and who comes."""
        self._closed = True
        self._refuse(self._boarding(), SequencerError(f"The client of {self.name!r} is closed"))

    def _boarding(self) -> Iterator[_Ticket]:
        """Those who wait now, up to as many ids as a request may ask for."""
        room = MAX_HELD
        while self._waiting and self._waiting[0].count <= room:
            ticket = self._waiting.popleft()
            if not ticket.ids.cancelled():
                room -= ticket.count
                yield ticket

    def _ask(self, tickets: list[_Ticket]) -> None:
        if not tickets:
            return
        request = LeaseRequest(
            name=self.name,
            client_id=self._supply.client_id,
            size=sum(ticket.count for ticket in tickets),
            last=self._last,
            strict=True,
        )
        try:
            lease = self._supply.leased(request)
        except SequencerUnavailable as error:
            self.trouble = error
            self._waiting.extendleft(reversed(tickets))
            self._askers.stopping.wait(next(self._delays))
        except SequencerError as error:
            self._refuse(iter(tickets), error)
        except Exception as error:  # noqa: BLE001 - the thread outlives a faulty source
            refusal = SequencerError(f"The source failed: {type(error).__name__}")
            self._refuse(iter(tickets), refusal)
        else:
            self.trouble, self._delays, self._last = None, delays(random.uniform), lease.witness
            self._hand_out(lease, deque(tickets))

    def _hand_out(self, lease: Lease, tickets: deque[_Ticket]) -> None:
        """Give the ids to who waited for them; what is over goes to nobody."""
        ids, used, wasted = lease.ids, 0, 0
        while tickets and ids:
            ids = tickets[0].take(ids)
            if not tickets[0].count:
                ticket = tickets.popleft()
                size = sum(map(len, ticket.got))
                if ticket.ids.set_running_or_notify_cancel():
                    used += size
                    ticket.ids.set_result(ticket.got)
                else:
                    wasted += size
        self._waiting.extendleft(reversed(tickets))
        before = self.stats
        self.stats = StrictStats(
            used=before.used + used, leases=before.leases + 1, wasted=before.wasted + wasted
        )

    @staticmethod
    def _refuse(tickets: Iterator[_Ticket], error: SequencerError) -> None:
        for ticket in tickets:
            if ticket.ids.set_running_or_notify_cancel():
                ticket.ids.set_exception(fresh(error))


class StrictSequence:
    """Ids that rise over all clients; got from `Sequencer.strict`.

    Each call costs a round trip to the sequencer, shared by all who wait in this
    process. It waits up to the client's `timeout_s`, and raises `SequencerError`s
    as a `Sequence` does. On a running event loop the blocking ways raise
    SequenceEmpty at once: await the others.
    """

    __slots__ = ("_line", "_timeout_s", "name")

    def __init__(self, line: Line, *, timeout_s: float) -> None:
        self.name = line.name
        self._line = line
        self._timeout_s = timeout_s

    def next_id(self) -> int:
        """The next id."""
        return self.next_ids(1)[0].start

    async def next_id_async(self) -> int:
        """The next id."""
        return (await self.next_ids_async(1))[0].start

    def next_ids(self, count: int) -> list[range]:
        """Ranges with `count` ids in all; either all of them are taken or none."""
        if on_event_loop():
            raise SequenceEmpty(f"No ids of {self.name!r} are held: await them")
        if not _checked(count):
            return []
        ids = self._line.join(count)
        try:
            return ids.result(self._timeout_s)
        except NotInTimeError:
            if ids.cancel():
                raise self._timed_out() from None
            return ids.result()
        except BaseException:
            ids.cancel()
            raise

    async def next_ids_async(self, count: int) -> list[range]:
        """`next_ids`, on an event loop."""
        if not _checked(count):
            return []
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.wrap_future(self._line.join(count))
        except TimeoutError:
            raise self._timed_out() from None

    def stats(self) -> StrictStats:
        """The present figures."""
        return self._line.stats

    def _timed_out(self) -> SequencerError:
        if (trouble := self._line.trouble) is not None:
            return fresh(trouble)
        return SequenceEmpty(f"No ids of {self.name!r} came within {self._timeout_s:g} s")


def _checked(count: int) -> int:
    if not 0 <= count <= MAX_HELD:
        raise ValueError(f"count must be between 0 and {MAX_HELD}")
    return count
