"""A process's connection to the sequencer."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from math import inf
from pathlib import Path
from threading import TIMEOUT_MAX, RLock
from types import TracebackType
from typing import Final, Self
from weakref import WeakSet

from sequencer.sdk._buffer import IdBuffer
from sequencer.sdk._demand import RateMeter, Sizing
from sequencer.sdk._errors import SequencerError, SequencerUnavailable
from sequencer.sdk._gapless import GaplessSequence
from sequencer.sdk._grpc import GrpcRangeSource
from sequencer.sdk._journal import Journal
from sequencer.sdk._link import Link
from sequencer.sdk._local import LocalRangeSource
from sequencer.sdk._lock import exclusive
from sequencer.sdk._refiller import Account, Refiller
from sequencer.sdk._sequence import Sequence, SequenceStats
from sequencer.sdk._serial import SerialSequence, serial_format
from sequencer.sdk._snowflake import Snowflake, Snowflakes
from sequencer.sdk._source import Lease, RangeSource
from sequencer.sdk._strict import Askers, Line, StrictSequence
from sequencer.sdk._supply import CALL_TIMEOUT_S, Supply
from sequencer.sdk._worker import WorkerSource
from sequencer.sdk._worker_grpc import GrpcWorkerSource
from sequencer.sdk._worker_local import LocalWorkerSource
from sequencer.sdk.serial import SerialFormat

UNJOURNALLED: Final = 1 << 20
"""Ids made ready at once where a kill loses all that is held anyway; so that few calls are slow."""


class Sequencer:
    """Gives sequences, and keeps each filled in the background.

    A context manager, blocking or asynchronous: entering begins to fetch ids,
    leaving returns those unused. Without one, fetching begins with the first id
    wanted, and ids unused at the end are lost, unless there is a journal. (A
    program that is told to stop by a signal leaves its blocks when the handler
    raises, as `signal.signal(SIGTERM, lambda *_: sys.exit())` does.) In a forked
    child it is a new client that holds nothing; sequences, and methods bound
    before, work on.

    Args:
        source: where ranges come from, or the sequencer's address, "host:port".
        survive_s: hold enough ids for that many seconds without the sequencer.
        timeout_s: how long a user who finds no id waits.
        create_missing: create sequences that nobody has created, with default
            settings; needs the right to.
        journal: a folder on a local disk, shared by all programs of a user and never
            put back from a copy. When this process is killed, the next client with
            the folder returns what it held, but for 65,536 ids of each sequence, of which the
            sequencer's audit tells.
        workers: where the workers of snowflake sequences come from; None is from
            where ranges come.
        monotonic: seconds that never step back.

    Raises:
        ValueError: `survive_s` or `timeout_s` is no time: below 0, endless or none.
    """

    def __init__(
        self,
        source: RangeSource | str,
        *,
        survive_s: float = 60.0,
        timeout_s: float = 5.0,
        create_missing: bool = False,
        journal: Path | None = None,
        workers: WorkerSource | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        _check_time("survive_s", survive_s)
        _check_time("timeout_s", timeout_s)
        self._source = GrpcRangeSource(source) if isinstance(source, str) else source
        self._sizing = Sizing(survive_s=survive_s)
        self._timeout_s = timeout_s
        self._create_missing = create_missing
        self._journal_folder = journal
        self._workers = workers
        self._snowflakes: Snowflakes | None = None
        self._monotonic = monotonic
        self._accounts: dict[str, Account] = {}
        self._sequences: dict[str, Sequence] = {}
        self._lines: dict[str, Line] = {}
        self._numbers: dict[str, GaplessSequence] = {}
        self._entered = False
        self._closed = False
        self._begin()
        _clients().add(self)

    def sequence(self, name: str) -> Sequence:
        """The sequence of that name, the same object at each call."""
        with exclusive(self._lock):
            if self._closed:
                raise SequencerError("The client is closed")
            if name not in self._sequences:
                self._add(name)
            return self._sequences[name]

    def snowflake(self, name: str) -> Snowflake:
        """The snowflake sequence of that name, the same object at each call."""
        with exclusive(self._lock):
            if self._closed:
                raise SequencerError("The client is closed")
            if self._snowflakes is None:
                self._snowflakes = self._with_workers()
            return self._snowflakes.sequence(name, prefetch=self._entered)

    def serial(
        self,
        name: str,
        format: SerialFormat | None = None,  # noqa: A002 - what it is
        *,
        key: bytes | None = None,
    ) -> SerialSequence:
        """Serials of the sequence of that name, to be kept.

        Args:
            name: of the sequence.
            format: how they are written; None is as the sequencer says, who is
                asked when the first one is wanted (right "sequencer.read").
            key: of hidden numbers, for the sequencer's format.
        """
        if format is not None:
            return SerialSequence(name, self, lambda: format)
        link = self.link
        return SerialSequence(name, self, lambda: serial_format(link, name, key))

    def strict(self, name: str) -> StrictSequence:
        """The sequence of that name, whose ids rise over all clients; of kind STRICT."""
        with exclusive(self._lock):
            if self._closed:
                raise SequencerError("The client is closed")
            if name not in self._lines:
                self._lines[name] = Line(name, self._supply, self._askers)
            return StrictSequence(self._lines[name], timeout_s=self._timeout_s)

    def gapless(self, name: str) -> GaplessSequence:
        """The sequence of that name, whose numbers are reserved and confirmed; of kind GAPLESS."""
        with exclusive(self._lock):
            if self._closed:
                raise SequencerError("The client is closed")
            if name not in self._numbers:
                self._numbers[name] = GaplessSequence(
                    name, self.link, lambda: self._supply.client_id, timeout_s=self._timeout_s
                )
            return self._numbers[name]

    @property
    def link(self) -> Link:
        """The connections to the sequencer's servers.

        Raises:
            SequencerError: ranges come from a source that has none.
        """
        if isinstance(self._source, GrpcRangeSource):
            return self._source.link
        raise SequencerError("The client's source is not the sequencer service")

    def release(self, name: str) -> None:
        """Let one sequence go, and return its unused ids; who still has it is refused.

        Takes a call to the sequencer for each lease held. Asked for again, the
        name gives a new sequence.
        """
        with exclusive(self._lock):
            account = self._accounts.pop(name, None)
            self._sequences.pop(name, None)
        if account is not None:
            account.buffer.close()
            with suppress(SequencerUnavailable):
                self._refiller.give_back(account)

    def close(self) -> None:
        """Return unused ids and end the background thread. A second time does nothing.

        Takes a few calls to the sequencer, each bounded; ids that cannot be
        returned are lost.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
        for account in self._accounts.values():
            account.buffer.close()
        for line in self._lines.values():
            line.close()
        self._askers.stop()
        self._refiller.stop(self._accounts.values(), timeout_s=2 * CALL_TIMEOUT_S)
        if self._snowflakes is not None:
            self._snowflakes.close()
        if self._supply.journal is not None:
            self._supply.journal.close()
        self._source.close()

    def __enter__(self) -> Self:
        self._entered = True
        for account in self._accounts.values():
            account.buffer.prefetch()
        if self._snowflakes is not None:
            self._snowflakes.prefetch()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.close)

    def _begin(self) -> None:
        self._lock = RLock()
        client_id = f"{socket.gethostname()[:60]}-{os.getpid()}-{secrets.token_hex(8)}"
        folder = self._journal_folder
        self._supply = Supply(
            source=self._source,
            client_id=client_id,
            sizing=self._sizing,
            create_missing=self._create_missing,
            monotonic=self._monotonic,
            journal=Journal(folder, client_id) if folder is not None else None,
        )
        self._refiller = Refiller(self._supply)
        self._askers = Askers()

    def _reset(self) -> None:
        """Start anew as the client of a forked child."""
        if self._supply.journal is not None:
            self._supply.journal.abandon()
        self._begin()
        for account in self._accounts.values():
            account.meter = RateMeter(self._monotonic())
            account.buffer.reset()
        for line in self._lines.values():
            line.begin(self._supply, self._askers)
        if self._snowflakes is not None:
            self._snowflakes.reset(self._supply.client_id)

    def _with_workers(self) -> Snowflakes:
        source = self._workers
        if source is None:
            is_local = isinstance(self._source, LocalRangeSource)
            source = LocalWorkerSource() if is_local else GrpcWorkerSource(self.link)
        return Snowflakes(
            source,
            client_id=self._supply.client_id,
            survive_s=self._sizing.survive_s,
            timeout_s=self._timeout_s,
            create_missing=self._create_missing,
            monotonic=self._monotonic,
        )

    def _add(self, name: str) -> None:
        journalled = self._journal_folder is not None
        account = Account(
            IdBuffer(
                name,
                timeout_s=self._timeout_s,
                ask=lambda asked: self._refiller.ask(account, asked),
                monotonic=self._monotonic,
                note=partial(self._note, name) if journalled else None,
                most=None if journalled else UNJOURNALLED,
            ),
            RateMeter(self._monotonic()),
        )
        self._accounts[name] = account
        self._sequences[name] = Sequence(
            account.buffer, timeout_s=self._timeout_s, stats=lambda: self._stats(account)
        )
        if self._entered:
            account.buffer.prefetch()

    def _note(self, name: str, lease: Lease, used: int, lost: int) -> None:
        if self._supply.journal is not None:
            self._supply.journal.note(name, lease, used, lost)

    def _stats(self, account: Account) -> SequenceStats:
        level = account.buffer.level()
        rate = account.meter.rate(level.used, self._monotonic())
        return SequenceStats(
            held=level.held,
            rate_per_s=rate,
            waits=level.waits,
            leases=level.leases,
            covered_s=level.held / rate if rate else inf,
            refill_latency_s=self._supply.latencies.p99_s,
            wasted=level.dropped,
            fence_jumps=level.jumps,
        )


def _check_time(name: str, seconds: float) -> None:
    """Refuse what nobody can wait for; a comparison with nan is never true."""
    if not 0 <= seconds <= TIMEOUT_MAX:
        raise ValueError(f"{name} is {seconds}: it must be from 0 to {TIMEOUT_MAX} seconds")


@cache
def _clients() -> WeakSet[Sequencer]:
    """All clients of this process, told when it is a forked child."""
    clients: WeakSet[Sequencer] = WeakSet()

    def reset() -> None:
        for client in clients:
            client._reset()  # noqa: SLF001 - of this module

    os.register_at_fork(after_in_child=reset)
    return clients
