"""Numbers without gaps: reserved, used and confirmed, or given back.

numbers = sequencer.gapless("loan.contract")
with numbers.reserve() as number:  # confirmed at the end of the block
    sign(number)                   # an exception gives it back
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Final, Generic, Protocol, TypeVar, overload

from google.protobuf.duration_pb2 import Duration

from engine.sequencer.v1 import gapless_pb2 as pb
from engine.sequencer.v1 import sequencer_pb2
from engine.sequencer.v1.gapless_pb2_grpc import GaplessServiceStub
from sequencer.sdk._arrival import on_event_loop
from sequencer.sdk._errors import SequenceEmpty, SequencerError, SequencerUnavailable
from sequencer.sdk._source import Witness
from sequencer.sdk._supply import CALL_TIMEOUT_S, delays

MAX_COUNT: Final = 1_000
"""Numbers of one reservation."""

DEFAULT_TTL_S: Final = 60.0

T = TypeVar("T")


class Caller(Protocol):
    """The part of `Link` that is needed."""

    def call(self, key: str, method: Any, request: Any, *, timeout_s: float) -> Any:
        """Call a method on a server that answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What proves who holds numbers: to be kept with what uses them.

    With it another process may confirm or release them, also after this one has died.
    """

    reservation: int
    token: int
    numbers: tuple[int, ...]
    expire_time: datetime


class GaplessSequence:
    """Numbers of one sequence of kind GAPLESS; got from `Sequencer.gapless`.

    Its calls are made anew, as the same request, until the client's `timeout_s` is
    over; then they raise SequencerUnavailable, and nobody can tell what became of the
    last one. Blocking ones raise SequenceEmpty on a running event loop.

    Args:
        name: of the sequence.
        link: calls the sequencer.
        client_id: names this process; asked at each reservation.
        timeout_s: how long a call is tried for.
        sleep: between two tries.
    """

    def __init__(
        self,
        name: str,
        link: Caller,
        client_id: Callable[[], str],
        *,
        timeout_s: float = 5.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = name
        self._link = link
        self._client_id = client_id
        self._timeout_s = timeout_s
        self._sleep = sleep
        self._last: Witness | None = None

    @overload
    def reserve(self, *, ttl_s: float = ...) -> Reservation[int]: ...

    @overload
    def reserve(self, count: int, *, ttl_s: float = ...) -> Reservation[tuple[int, ...]]: ...

    def reserve(
        self, count: int | None = None, *, ttl_s: float = DEFAULT_TTL_S
    ) -> Reservation[Any]:
        """One number, or `count` numbers in a tuple, reserved when the block is entered.

        Args:
            count: how many, at most 1,000.
            ttl_s: how long they are held; after that somebody else may get them.
        """
        wanted = 1 if count is None else count
        if not 1 <= wanted <= MAX_COUNT:
            raise ValueError(f"count must be between 1 and {MAX_COUNT}")
        return Reservation(self, wanted, ttl_s, _first if count is None else _all)

    def take(self, count: int = 1, *, ttl_s: float = DEFAULT_TTL_S) -> Claim:
        """Reserve numbers, to be settled by `confirm` and `release`."""
        request = pb.ReserveNumbersRequest(
            name=self.name,
            count=count,
            ttl=_duration(ttl_s),
            client_id=self._client_id(),
            request_id=_request_id(),
            last=self._witness(),
        )
        held: pb.Reservation = self._called(_reserve, request).reservation
        self._learn(held.witness)
        return Claim(
            reservation=held.reservation,
            token=held.token,
            numbers=tuple(held.numbers),
            expire_time=held.expire_time.ToDatetime(UTC),
        )

    def confirm(self, claim: Claim, numbers: Collection[int] = ()) -> None:
        """Declare numbers used, all of them or none; once more changes nothing.

        Args:
            claim: of their reservation. It may have expired, as long as nobody else
                has got them.
            numbers: of the claim; all by default.

        Raises:
            NumbersLost: the claim does not hold them any more; they must not be used.
        """
        request = pb.ConfirmNumbersRequest(
            name=self.name,
            reservation=claim.reservation,
            token=claim.token,
            numbers=numbers or claim.numbers,
            request_id=_request_id(),
            last=self._witness(),
        )
        self._learn(self._called(_confirm, request).witness)

    def release(self, claim: Claim, numbers: Collection[int] = ()) -> None:
        """Give numbers back; those that the claim does not hold stay as they are.

        Args:
            claim: of their reservation.
            numbers: of the claim; all by default.
        """
        request = pb.ReleaseNumbersRequest(
            name=self.name,
            reservation=claim.reservation,
            token=claim.token,
            numbers=numbers or claim.numbers,
            request_id=_request_id(),
            last=self._witness(),
        )
        self._learn(self._called(_release, request).witness)

    async def take_async(self, count: int = 1, *, ttl_s: float = DEFAULT_TTL_S) -> Claim:
        """`take`, on an event loop."""
        return await asyncio.to_thread(self.take, count, ttl_s=ttl_s)

    async def confirm_async(self, claim: Claim, numbers: Collection[int] = ()) -> None:
        """`confirm`, on an event loop."""
        await asyncio.to_thread(self.confirm, claim, numbers)

    async def release_async(self, claim: Claim, numbers: Collection[int] = ()) -> None:
        """`release`, on an event loop."""
        await asyncio.to_thread(self.release, claim, numbers)

    def _called(self, method: Any, request: Any) -> Any:
        """Call until it is answered: its request id makes it the same call each time."""
        if on_event_loop():
            raise SequenceEmpty(f"Numbers of {self.name!r} are not held: await them")
        give_up, pauses = time.monotonic() + self._timeout_s, delays()
        left = self._timeout_s
        while True:
            try:
                return self._link.call(
                    self.name, method, request, timeout_s=min(left, CALL_TIMEOUT_S)
                )
            except SequencerUnavailable:
                pause = next(pauses)
                if time.monotonic() + pause >= give_up:
                    raise
                self._sleep(pause)
                left = give_up - time.monotonic()
                if left <= 0:
                    raise

    def _witness(self) -> sequencer_pb2.Witness | None:
        last = self._last
        if last is None:
            return None
        return sequencer_pb2.Witness(
            number=last.number, mark=last.mark, epoch=last.epoch, position=last.position
        )

    def _learn(self, told: sequencer_pb2.Witness) -> None:
        known = self._last
        if known is None or (told.epoch, told.number) > (known.epoch, known.number):
            self._last = Witness(
                number=told.number, mark=told.mark, epoch=told.epoch, position=told.position
            )


class Reservation(Generic[T]):
    """Numbers for a block, `with` or `async with`; got from `GaplessSequence.reserve`.

    At the end of the block what was neither confirmed nor released within it is
    confirmed. An exception releases that instead, and goes on; what cannot be
    released then expires.

    Raises:
        NumbersLost: at the end, when the lease ran out and somebody else got the numbers.
    """

    def __init__(
        self,
        sequence: GaplessSequence,
        count: int,
        ttl_s: float,
        shown: Callable[[Sequence[int]], T],
    ) -> None:
        self._sequence = sequence
        self._count = count
        self._ttl_s = ttl_s
        self._shown = shown
        self._claim: Claim | None = None
        self._open: set[int] = set()

    @property
    def claim(self) -> Claim:
        """What proves that the numbers are held; within the block and after it."""
        if self._claim is None:
            raise RuntimeError("no number is reserved before the block is entered")
        return self._claim

    def confirm(self, *numbers: int) -> None:
        """Declare some numbers used, or all that are open."""
        if chosen := self._chosen(numbers):
            self._sequence.confirm(self.claim, chosen)
            self._open.difference_update(chosen)

    def release(self, *numbers: int) -> None:
        """Give some numbers back, or all that are open."""
        if chosen := self._chosen(numbers):
            self._sequence.release(self.claim, chosen)
            self._open.difference_update(chosen)

    async def confirm_async(self, *numbers: int) -> None:
        """`confirm`, on an event loop."""
        await asyncio.to_thread(self.confirm, *numbers)

    async def release_async(self, *numbers: int) -> None:
        """`release`, on an event loop."""
        await asyncio.to_thread(self.release, *numbers)

    def __enter__(self) -> T:
        return self._entered(self._sequence.take(self._count, ttl_s=self._ttl_s))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.confirm()
        else:
            with suppress(SequencerError):
                self.release()

    async def __aenter__(self) -> T:
        return self._entered(await self._sequence.take_async(self._count, ttl_s=self._ttl_s))

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, trace)

    def _entered(self, claim: Claim) -> T:
        self._claim = claim
        self._open = {*claim.numbers}
        return self._shown(claim.numbers)

    def _chosen(self, numbers: Collection[int]) -> list[int]:
        return sorted(numbers or self._open)


def _first(numbers: Sequence[int]) -> int:
    return numbers[0]


def _all(numbers: Sequence[int]) -> tuple[int, ...]:
    return tuple(numbers)


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromTimedelta(timedelta(seconds=seconds))
    return duration


def _request_id() -> str:
    return secrets.token_hex(16)


def _reserve(channel: Any) -> Any:
    return GaplessServiceStub(channel).ReserveNumbers


def _confirm(channel: Any) -> Any:
    return GaplessServiceStub(channel).ConfirmNumbers


def _release(channel: Any) -> Any:
    return GaplessServiceStub(channel).ReleaseNumbers
