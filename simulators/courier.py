"""Tells the bank what an outside party owes it, at least once."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

import grpc

from mesh.background import Background
from mesh.clock import Clock
from mesh.errors import ErrorView
from mesh.log import get_logger
from mesh.storage import StorageError
from simulators.reports import OwedReport, Postponed

BATCH: Final = 256
"""Reports told between two looks at the database."""

CONCURRENCY: Final = 16
"""Keys told at once; those of one key wait for one another."""

FIRST_DELAY_S, LAST_DELAY_S = 0.1, 30.0
LAST_OUTAGE_S: Final = 2.0
LOOK_S: Final = 1.0
"""The longest that it sleeps while nothing is heard."""

KEPT: Final = timedelta(days=3)
"""How long a report that is refused is told again."""

_OUTAGE: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAUTHENTICATED,  # a service that is just being restarted
    }
)
"""Failures that say nothing about the report itself."""

_log = get_logger(__name__)

Send = Callable[[bytes], Awaitable[None]]
"""Tells one report; an `AioRpcError` when it is not accepted."""


class Reports(Protocol):
    """Where the reports owed are held."""

    async def due(self, now: datetime, limit: int) -> Sequence[OwedReport]:
        """Reports to be told now, in their order."""

    async def next_due(self) -> datetime | None:
        """When the next report is to be told; None when none is owed."""

    async def settle(self, done: Sequence[int], postponed: Sequence[Postponed]) -> None:
        """Forget what was accepted, and put off what was refused."""


@dataclass(slots=True)
class _Round:
    """What became of one batch. `outage` ends it: the rest would fail in the same way."""

    done: list[int] = field(default_factory=list)
    refused: list[OwedReport] = field(default_factory=list)
    outage: bool = False


class Courier(Background):
    """Tells reports for as long as it is entered; those of a key in their order.

    While the bank cannot be reached everything waits; a report that the bank
    refuses is told again with growing delays, and does not hold up the others.

    Args:
        reports: what is owed.
        send: tells one.
        clock: tells what is due.
    """

    def __init__(self, reports: Reports, send: Send, clock: Clock) -> None:
        self._reports = reports
        self._send = send
        self._clock = clock
        self._news = asyncio.Event()
        self._outages = 0

    def wake(self) -> None:
        """There is something new to tell."""
        self._news.set()

    async def _run(self) -> None:
        while True:
            self._news.clear()
            try:
                more = await self._round()
                wait_s = 0.0 if more else await self._idle_s()
            except Exception as error:  # noqa: BLE001 - nothing may end it: reports wait
                exc_info = None if isinstance(error, StorageError) else error
                _log.error("courier_failed", error=type(error).__name__, exc_info=exc_info)
                wait_s, more = LOOK_S, False
            if self._outages:
                await asyncio.sleep(_delay_s(self._outages, LAST_OUTAGE_S))
            elif not more:
                await self._news_within(wait_s)

    async def _round(self) -> bool:
        """Tell what is due; whether something was, so that there may be more."""
        due = await self._reports.due(self._clock.now(), BATCH)
        if not due:
            self._outages = 0
            return False
        lanes: defaultdict[int, list[OwedReport]] = defaultdict(list)
        for report in due:
            lanes[report.key].append(report)
        outcome, room = _Round(), asyncio.Semaphore(CONCURRENCY)
        async with asyncio.TaskGroup() as tellers:
            for lane in lanes.values():
                tellers.create_task(self._tell(lane, outcome, room))
        await self._settle(outcome, lanes)
        self._outages = self._outages + 1 if outcome.outage else 0
        return True

    async def _tell(
        self, lane: Sequence[OwedReport], outcome: _Round, room: asyncio.Semaphore
    ) -> None:
        async with room:
            for report in lane:
                if outcome.outage:
                    return
                try:
                    await self._send(report.payload)
                except grpc.aio.AioRpcError as error:
                    self._failed(report, error, outcome)
                    return
                outcome.done.append(report.report_id)

    def _failed(self, report: OwedReport, error: grpc.aio.AioRpcError, outcome: _Round) -> None:
        code, reason = error.code(), ErrorView.from_rpc(error).reason
        if code in _OUTAGE:
            if not self._outages and not outcome.outage:
                _log.warning("bank_unreachable", code=code.name, reason=reason)
            outcome.outage = True
        elif self._clock.now() - report.create_time > KEPT:
            _log.error("report_given_up", key=report.key, code=code.name, reason=reason)
            outcome.done.append(report.report_id)
        else:
            outcome.refused.append(report)

    async def _settle(self, outcome: _Round, lanes: dict[int, list[OwedReport]]) -> None:
        """Put off the whole lane of a report that was refused, so that its order stays."""
        now = self._clock.now()
        postponed = [
            Postponed(report_id=behind.report_id, until=now + _delay(refused.attempts))
            for refused in outcome.refused
            for behind in lanes[refused.key]
            if behind.report_id >= refused.report_id
        ]
        if outcome.done or postponed:
            await self._reports.settle(outcome.done, postponed)

    async def _idle_s(self) -> float:
        """How long nothing is due, unless something new comes."""
        due = await self._reports.next_due()
        if due is None:
            return LOOK_S
        return min(max((due - self._clock.now()).total_seconds(), 0.001), LOOK_S)

    async def _news_within(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()


def _delay(attempts: int) -> timedelta:
    return timedelta(seconds=_delay_s(attempts + 1, LAST_DELAY_S))


def _delay_s(failures: int, last_s: float) -> float:
    """Seconds to wait after so many failures, from 1 on."""
    return min(FIRST_DELAY_S * 2.0 ** min(failures - 1, 16), last_s)
