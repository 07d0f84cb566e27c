"""Two processes of the centre on one database: each request and each wait counts once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from centers.decision.app import Decision
from engine.decision.v1 import decision_pb2 as pb
from engine.mesh.v1.event_pb2 import Event as Told
from mesh.clock import ManualClock, to_micros
from mesh.storage import Address, open_store
from mesh.telemetry import NullTracer
from tests.unit.centers.decision.conftest import CountedIds
from tests.unit.centers.decision.test_timer import DAY_S, answer, not_drawn, viewed

Launch = Callable[[pb.Model], Awaitable[int]]
Published = Callable[[], Awaitable[list[Told]]]


class HighIds(CountedIds):
    """Ids that the other process does not get."""

    async def take(self, number: int) -> list[int]:
        return [1_000_000 + one for one in await super().take(number)]


@pytest.fixture
async def other(database: Address, clock: ManualClock) -> AsyncIterator[Decision]:
    """Another process: a store of its own over the same database."""
    async with open_store(database, tracer=NullTracer()) as store:
        yield Decision(store, CountedIds(), HighIds(), clock)


async def test_waits_that_two_processes_see_end_once(
    centre: Decision, other: Decision, launch: Launch, clock: ManualClock, published: Published
) -> None:
    """Each fires one trigger, whichever process ended it."""
    await launch(not_drawn())
    now = to_micros(clock.now())
    handed_in = [viewed(str(number), now, customer=number) for number in range(1, 501)]
    await centre.ingest.take_in(handed_in, [])
    clock.advance(4 * DAY_S)
    while sum(await asyncio.gather(centre.timer.end_due(), other.timer.end_due())):
        continue
    fired = [pb.TriggerFired.FromString(told.payload).trigger for told in await published()]
    assert sorted(one.customer_id for one in fired) == list(range(1, 501))
    assert len({one.trigger_id for one in fired}) == len(fired)


async def test_events_handed_to_two_processes_at_a_time_are_stored_once(
    centre: Decision, other: Decision, launch: Launch, clock: ManualClock
) -> None:
    """Who comes second finds them known."""
    await launch(not_drawn())
    handed_in = [viewed(str(number), to_micros(clock.now()), number) for number in range(1, 101)]
    found = await asyncio.gather(*(one.ingest.take_in(handed_in, []) for one in (centre, other)))
    assert sorted((one.stored, one.duplicates) for one in found) == [(0, 100), (100, 0)]


async def test_what_one_process_paused_the_other_does_not_fire(
    centre: Decision, other: Decision, launch: Launch, clock: ManualClock
) -> None:
    """From the moment at which pausing returns; resumed, it fires there again."""
    model_id = await launch(pb.Model(name="any view", event_type="loan.offer_viewed", scene_id=4))
    now = to_micros(clock.now())
    assert (await other.ingest.take_in([viewed("a", now)], [])).fired == 1
    await centre.models.pause(model_id, answer)
    assert (await other.ingest.take_in([viewed("b", now, customer=8)], [])).fired == 0
    await centre.models.resume(model_id, answer)
    assert (await other.ingest.take_in([viewed("c", now, customer=9)], [])).fired == 1
