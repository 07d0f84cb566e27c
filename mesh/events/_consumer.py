"""Consumes one topic for one group of a service, each event with its effect once."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from typing import Final

from google.protobuf.duration_pb2 import Duration

from engine.mesh.v1.bus_pb2 import PollRequest, PollResponse, Settled
from mesh.background import Background
from mesh.clock import Clock, SystemClock
from mesh.events._batch import Batch, Parts
from mesh.events._bus import BUS_ERRORS, EventBus
from mesh.events._failure import Backoff, is_passing, kind
from mesh.events._subscription import Subscription
from mesh.log import get_logger
from mesh.storage import Inbox, Store
from mesh.telemetry import Telemetry

WAIT_S: Final = 20
"""How long one poll waits for events."""

STAND_BY_S: Final = 0.5
"""How often a stand-by asks whether it is its turn."""

RENEW_S: Final = 0.5
"""How often a member that works on a batch tells the bus: well within the least lease."""

LEAVE_S: Final = 1.0
"""How long stopping waits for the bus to hear what was consumed."""

_log = get_logger(__name__)


class Consumer(Background):
    """Polls, reacts, applies, and tells the bus with the next poll, for as long as it is entered.

    The effect of an event and the knowledge that it was had commit together.
    Stopped in the middle, it goes on where the last transaction ended.

    Args:
        store: where the effects go.
        bus: where the events come from, as the service that owns the group.
        subscription: what is consumed and how.
        clock: measures the waiting between two tries, and dates what was had.
        telemetry: spans of sampled events; counts `events.consumed`, `.repeated`, `.buried`.
    """

    def __init__(
        self,
        store: Store,
        bus: EventBus,
        subscription: Subscription,
        *,
        clock: Clock | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._bus = bus
        self._subscription = subscription
        self._clock = clock or SystemClock()
        self._parts = Parts(
            store=store,
            inbox=Inbox(store, f"{subscription.group}/{subscription.topic}", self._clock),
            subscription=subscription,
            clock=self._clock,
            telemetry=telemetry or Telemetry(),
        )
        self._member = secrets.token_hex(8)

    async def _run(self) -> None:
        settled = Settled()
        try:
            while True:
                answer = await self._poll(settled)
                settled = Settled()
                if not answer.active:
                    await self._clock.sleep(STAND_BY_S)
                elif answer.events:
                    async with _Renewal(self._bus, self._request(Settled(), renewing=True)):
                        settled = await self._consume(answer)
        finally:
            await self._leave(settled)

    async def _poll(self, settled: Settled) -> PollResponse:
        """The next events, however long it takes to get some or hear that another is served."""
        request = self._request(settled, wait=Duration(seconds=WAIT_S))
        backoff = Backoff()
        refusal = ""
        while True:
            try:
                return await self._bus.poll(request)
            except BUS_ERRORS as error:
                if not is_passing(error) and kind(error) != refusal:
                    refusal = kind(error)
                    _log.error("poll_refused", group=request.group, error=refusal)
            await self._clock.sleep(backoff.next_s())

    async def _consume(self, answer: PollResponse) -> Settled:
        """Consume a batch; only what the store cannot do yet is waited for."""
        backoff = Backoff()
        while True:
            try:
                return await Batch(self._parts).consume(answer.events)
            except Exception as error:  # noqa: BLE001 - nothing may end it: events wait
                if not is_passing(error):
                    _log.exception("batch_failed", group=self._subscription.group)
            await self._clock.sleep(backoff.next_s())

    async def _leave(self, settled: Settled) -> None:
        """Tell what was consumed, and let a stand-by go on at once."""
        with suppress(TimeoutError, *BUS_ERRORS):
            async with asyncio.timeout(LEAVE_S):
                await self._bus.poll(self._request(settled, leaving=True))

    def _request(
        self,
        settled: Settled,
        *,
        wait: Duration | None = None,
        leaving: bool = False,
        renewing: bool = False,
    ) -> PollRequest:
        return PollRequest(
            group=self._subscription.group,
            topic=self._subscription.topic,
            member=self._member,
            max_events=self._subscription.batch,
            wait=wait,
            settled=settled,
            leaving=leaving,
            renewing=renewing,
        )


class _Renewal(Background):
    """Tells the bus for as long as it is entered that the member is at work.

    So a lease may be short: a member that was killed at its work makes room soon. One
    that lost its place all the same works on; the inbox keeps effects from doubling.
    """

    def __init__(self, bus: EventBus, request: PollRequest) -> None:
        self._bus = bus
        self._request = request

    async def _run(self) -> None:
        while True:
            # By the loop's time: it is the bus's clock that must not run out.
            await asyncio.sleep(RENEW_S)
            with suppress(*BUS_ERRORS):
                await self._bus.poll(self._request)
