"""Serial numbers of one sequence, as their users see them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from engine.sequencer.v1 import sequencer_pb2 as pb
from engine.sequencer.v1 import sequencer_pb2_grpc as pb_grpc
from sequencer.sdk._errors import SequenceEmpty, SequencerError
from sequencer.sdk._link import Link
from sequencer.sdk._sequence import Sequence
from sequencer.sdk.serial import Reset, Serial, SerialError, SerialFormat

if TYPE_CHECKING:
    import grpc

T = TypeVar("T")

OPEN_PERIODS: Final = 2
"""Periods that hold ids while nobody waits for more: two business days run in parallel."""

MAX_DATES: Final = 16
"""Business dates whose period is kept at hand."""

TRIES: Final = 8
"""How often a period is opened anew when others close it in the same moment."""

FETCH_TIMEOUT_S: Final = 5.0

_RESETS: Final = {
    pb.SERIAL_RESET_UNSPECIFIED: Reset.NONE,
    pb.SERIAL_RESET_DAY: Reset.DAY,
    pb.SERIAL_RESET_MONTH: Reset.MONTH,
    pb.SERIAL_RESET_YEAR: Reset.YEAR,
}


class Numbers(Protocol):
    """The part of `Sequencer` that is needed."""

    def sequence(self, name: str) -> Sequence:
        """The sequence of that name."""

    def release(self, name: str) -> None:
        """Let it go, and return its unused ids; blocks for a call or two."""


@dataclass(slots=True)
class _Opened:
    """A period's sequence, when it was last used (counted in uses), and an entry for each user."""

    sequence: Sequence
    used: int
    users: list[None] = field(default_factory=list)


class SerialSequence:
    """Serials of one sequence; got from `Sequencer.serial`, and kept.

    `next()` answers the next serial. The date is decided once for each, and both
    its number and its text follow from that. When numbers begin anew by day,
    month or year, each period is a sequence of its own, "name@20261126". Two of
    them hold ids; when a third one is used, the one unused for longest returns
    its ids. It may be used again.

    Safe under threads, asyncio and fork: each step is one that Python takes as a
    whole, and who finds a period closed under him opens it again.

    All ways to take serials wait and raise as those of `Sequence` do; SerialError
    also, when the number does not fit, a date is missing, or the template that
    the sequencer has is no good. Numbers that were taken then are lost.

    Args:
        name: of the sequence.
        numbers: where its numbers come from.
        learn: answers the format, and may call the sequencer for it.
    """

    def __init__(self, name: str, numbers: Numbers, learn: Callable[[], SerialFormat]) -> None:
        self.name = name
        self._numbers = numbers
        self._learn = learn
        self._format: SerialFormat | None = None
        self._dates: dict[date | None, tuple[date | None, str]] = {}
        self._open: dict[str, _Opened] = {}
        self._uses = itertools.count()

    def next(self, business_date: date | None = None) -> str:
        """The next serial of that date; of today, in the format's zone, when none is given."""
        made = self._format or self._known()
        day, period = self._dates.get(business_date) or self._dated(made, business_date)
        return made.format(self._taken(period, _next_id), day)

    async def next_async(self, business_date: date | None = None) -> str:
        """`next`, waiting on the event loop."""
        made = self._format or await self._known_async()
        day, period = self._dates.get(business_date) or self._dated(made, business_date)
        return made.format(await self._taken_async(period, _next_id_async), day)

    def take(self, count: int, business_date: date | None = None) -> list[str]:
        """So many serials of one date, all of them or none."""
        made = self._known()
        day, period = self._dated(made, business_date)
        ranges = self._taken(period, lambda sequence: sequence.next_ids(count))
        return [made.format(number, day) for number in itertools.chain.from_iterable(ranges)]

    async def take_async(self, count: int, business_date: date | None = None) -> list[str]:
        """`take`, waiting on the event loop."""
        made = await self._known_async()
        day, period = self._dated(made, business_date)
        ranges = await self._taken_async(period, lambda sequence: sequence.next_ids_async(count))
        return [made.format(number, day) for number in itertools.chain.from_iterable(ranges)]

    def read(self, text: str) -> Serial:
        """Take a serial apart, as `SerialFormat.read` does."""
        return self._known().read(text)

    def _known(self) -> SerialFormat:
        if self._format is None:
            if _on_a_loop():
                raise SequenceEmpty(f"The format of {self.name!r} is not known yet")
            self._format = self._learn()
        return self._format

    async def _known_async(self) -> SerialFormat:
        if self._format is None:
            self._format = await asyncio.to_thread(self._learn)
        return self._format

    def _dated(self, made: SerialFormat, given: date | None) -> tuple[date | None, str]:
        """The date of a serial and the period that it is in; what was given is kept at hand."""
        day = made.business_date(given)
        found = day, made.period(day)
        if given is not None:
            if len(self._dates) >= MAX_DATES:
                self._dates.clear()
            self._dates[given] = found
        return found

    def _taken(self, period: str, take: Callable[[Sequence], T]) -> T:
        for _ in range(TRIES):
            opened = self._opened(period)
            try:
                return take(opened.sequence)
            except SequencerError:
                if self._stands(period, opened):
                    raise
            finally:
                self._leave(opened)
        raise self._restless()

    async def _taken_async(self, period: str, take: Callable[[Sequence], Awaitable[T]]) -> T:
        for _ in range(TRIES):
            opened = self._opened(period)
            try:
                return await take(opened.sequence)
            except SequencerError:
                if self._stands(period, opened):
                    raise
            finally:
                self._leave(opened)
        raise self._restless()

    def _opened(self, period: str) -> _Opened:
        """The period, with one user more."""
        opened = self._open.get(period)
        if opened is None:
            fresh = _Opened(self._numbers.sequence(self._child(period)), next(self._uses))
            opened = self._open.setdefault(period, fresh)
        opened.users.append(None)
        opened.used = next(self._uses)
        return opened

    def _leave(self, opened: _Opened) -> None:
        opened.users.pop()
        if len(self._open) > OPEN_PERIODS:
            self._close_idle()

    def _close_idle(self) -> None:
        """Return the ids of the periods unused for longest, but not of those in use."""
        found = sorted(self._open.copy().items(), key=lambda one: one[1].used)
        for period, opened in found[:-OPEN_PERIODS]:
            if not opened.users and self._open.pop(period, None) is not None:
                self._let_go(opened.sequence.name)

    def _let_go(self, name: str) -> None:
        if _on_a_loop():
            asyncio.get_running_loop().run_in_executor(None, self._release, name)
        else:
            self._release(name)

    def _release(self, name: str) -> None:
        with suppress(SequencerError):  # ids that cannot be returned are lost, and shown as such
            self._numbers.release(name)

    def _stands(self, period: str, opened: _Opened) -> bool:
        """Whether the sequence is still the one of its name, and not one that was let go."""
        if self._numbers.sequence(opened.sequence.name) is opened.sequence:
            return True
        if self._open.get(period) is opened:
            self._open.pop(period, None)
        return False

    def _child(self, period: str) -> str:
        return f"{self.name}@{period}" if period else self.name

    def _restless(self) -> SequencerError:
        return SequenceEmpty(
            f"More periods of {self.name!r} are used at once than {OPEN_PERIODS}: try again"
        )


def serial_format(link: Link, name: str, key: bytes | None) -> SerialFormat:
    """The format that the sequencer has for a sequence. Blocks for one call.

    Needs the right "sequencer.read".

    Raises:
        SequencerError: it cannot be had, or the sequence has none.
        SerialError: its template is no good here, or not with that key.
    """
    request = pb.GetSequenceRequest(name=name)
    sequence = link.call(name, _get_sequence, request, timeout_s=FETCH_TIMEOUT_S).sequence
    if not sequence.HasField("serial"):
        raise SequencerError(f"Sequence {name!r} has no format for serials")
    serial = sequence.serial
    if serial.reset not in _RESETS:
        raise SerialError(f"The sequencer knows a reset {serial.reset} that this client does not")
    return SerialFormat.parse(
        serial.template, zone=serial.zone, reset=_RESETS[serial.reset], key=key
    )


def _next_id(sequence: Sequence) -> int:
    return sequence.next_id()


def _next_id_async(sequence: Sequence) -> Awaitable[int]:
    return sequence.next_id_async()


def _get_sequence(
    channel: grpc.Channel,
) -> grpc.UnaryUnaryMultiCallable[pb.GetSequenceRequest, pb.GetSequenceResponse]:
    return pb_grpc.SequencerServiceStub(channel).GetSequence


def _on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
