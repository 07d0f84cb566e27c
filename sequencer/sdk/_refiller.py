"""One thread that keeps every buffer of a client filled."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue

from sequencer.sdk._buffer import Asked, IdBuffer
from sequencer.sdk._demand import RateMeter
from sequencer.sdk._errors import SequencerError, SequencerUnavailable
from sequencer.sdk._journal import recover
from sequencer.sdk._late import LateThread
from sequencer.sdk._source import LeaseRequest, Tail
from sequencer.sdk._supply import CALL_TIMEOUT_S, Supply, delays

_log = logging.getLogger("sequencer.sdk")


@dataclass(slots=True)
class Account:
    """A buffer and what is measured of its use."""

    buffer: IdBuffer
    meter: RateMeter


class _Queue:
    """Accounts in the order in which they are filled: those whose users wait before all others.

    An account may stand in it twice. Safe in a signal handler: each step is one in C.
    """

    def __init__(self) -> None:
        self._waiting: deque[Account] = deque()
        self._in_time: deque[Account] = deque()
        self._tokens: SimpleQueue[bool] = SimpleQueue()

    def put(self, account: Account, asked: Asked) -> None:
        """Add an account."""
        (self._waiting if asked is Asked.WAITING else self._in_time).append(account)
        self._tokens.put(True)

    def end(self) -> None:
        """Have `get` answer None after all that came before."""
        self._tokens.put(False)

    def empty(self) -> bool:
        """Whether `get` would wait."""
        return self._tokens.empty()

    def get(self) -> Account | None:
        """Wait for the next account."""
        if not self._tokens.get():
            return None
        return (self._waiting or self._in_time).popleft()


class Refiller:
    """Fills buffers one after the other on a daemon thread that starts at the first need.

    While the source is away every attempt is followed by a pause, doubling from
    50 ms to 2 s with jitter, however many buffers wait.
    """

    def __init__(self, supply: Supply) -> None:
        self._supply = supply
        self._queue = _Queue()
        self._thread = LateThread(self._run, "sequencer-refill")
        self._delays = delays()
        self._left_behind: Generator[int, None, None] | None = None

    def ask(self, account: Account, asked: Asked) -> None:
        """Have the buffer filled. Never waits for the source."""
        self._queue.put(account, asked)
        self._thread.need()

    def stop(self, accounts: Iterable[Account], *, timeout_s: float) -> None:
        """End the thread, after it has given back what the (closed) buffers hold."""
        if self._thread.end(self._queue.end, timeout_s=timeout_s):
            self._give_back(accounts)

    def _run(self) -> None:
        while (account := self._next()) is not None and not self._thread.ending.is_set():
            try:
                if account.buffer.asked:
                    self._refill(account)
            except Exception as error:  # noqa: BLE001 - the thread outlives a faulty source
                _log.exception("refill_failed")
                refusal = SequencerError(f"The source failed: {type(error).__name__}")
                account.buffer.fail(refusal, final=True)
        if self._left_behind is not None:
            self._left_behind.close()

    def _refill(self, account: Account) -> None:
        try:
            self._put(account)
        except SequencerUnavailable as error:
            account.buffer.fail(error, final=False)
            self._thread.ending.wait(next(self._delays))
            self._queue.put(account, Asked.IN_TIME)
        except SequencerError as error:
            account.buffer.fail(error, final=True)
        else:
            self._delays = delays()
            journal = self._supply.journal
            if journal is not None and self._left_behind is None:
                self._left_behind = recover(journal.folder, self._return)

    def _next(self) -> Account | None:
        """The next account; while there is none, tails are returned that dead clients left."""
        while self._left_behind is not None and self._queue.empty():
            try:
                next(self._left_behind)
            except StopIteration:
                break
            except SequencerUnavailable:
                self._left_behind = None  # again after the next refill
            except Exception:  # noqa: BLE001 - the thread outlives a journal that is spoiled
                _log.exception("journal_not_read")
        return self._queue.get()

    def _put(self, account: Account) -> None:
        """Lease one range, of a size that fits the present rate, into the buffer."""
        supply, level = self._supply, account.buffer.level()
        began = supply.monotonic()
        rate = account.meter.observe(level.used, began)
        low = supply.sizing.low(rate, supply.latencies.p99_s)
        request = LeaseRequest(
            name=account.buffer.name,
            client_id=supply.client_id,
            size=supply.sizing.lease(low, level.held, level.wanted),
            last=level.last,
        )
        lease = supply.leased(request)
        supply.latencies.add(supply.monotonic() - began)
        if supply.journal is not None:
            supply.journal.add(request.name, lease)
        account.buffer.put(lease, low=low)
        if account.buffer.closed:
            self.give_back(account)

    def _give_back(self, accounts: Iterable[Account]) -> None:
        """Return all tails. What cannot be returned is lost, and never reissued."""
        with suppress(SequencerUnavailable):
            for account in accounts:
                self.give_back(account)

    def give_back(self, account: Account) -> None:
        """Return what a (closed) buffer holds.

        Raises:
            SequencerUnavailable: the rest is lost.
        """
        name, journal = account.buffer.name, self._supply.journal
        for lease, used in account.buffer.drain():
            self._return(
                Tail(
                    name=name,
                    client_id=self._supply.client_id,
                    lease_number=lease.number,
                    mark=lease.mark,
                    used=used,
                )
            )
            if journal is not None:
                journal.note(name, lease, lease.size, 0)

    def _return(self, tail: Tail) -> None:
        try:
            self._supply.source.give_back(tail, timeout_s=CALL_TIMEOUT_S)
        except SequencerUnavailable:
            raise
        except SequencerError as error:
            _log.warning("range_not_returned: %s", error)
