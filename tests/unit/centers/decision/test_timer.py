"""Waits for an absence: A17 in small, over the real database and a clock that is held."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from centers.decision import timer as timers
from centers.decision import wire
from centers.decision.app import Decision
from centers.decision.domain import DAY_US, Event, Reversal
from centers.decision.replay import replay
from centers.decision.rule import rule_of
from engine.decision.v1 import decision_pb2 as pb
from engine.mesh.v1.event_pb2 import Event as Told
from mesh.clock import ManualClock, to_micros

Launch = Callable[[pb.Model], Awaitable[int]]
Published = Callable[[], Awaitable[list[Told]]]

DAY_S = 86_400
HOUR_US = DAY_US // 24


def not_drawn() -> pb.Model:
    """An offer that was viewed, and not drawn on for three days."""
    model = pb.Model(name="not drawn", event_type="loan.offer_viewed", scene_id=4)
    model.absence.event_type = "loan.drawdown"
    model.absence.within.seconds = 3 * DAY_S
    return model


def viewed(key: str, at_us: int, customer: int = 7) -> Event:
    return event("loan.offer_viewed", key, at_us, customer, offer_id=1)


def drawn(key: str, at_us: int, customer: int = 7) -> Event:
    return event("loan.drawdown", key, at_us, customer, amount_fen=5)


def event(kind: str, key: str, at_us: int, customer: int, **numbers: int) -> Event:
    return Event(
        event_type=kind,
        business_key=key,
        customer_id=customer,
        occurred_us=at_us,
        numbers=numbers,
        texts={},
    )


def reversal(given: Event) -> Reversal:
    return Reversal(
        event_type=given.event_type,
        business_key=given.business_key,
        occurred_us=given.occurred_us,
        reason="ERROR",
    )


@pytest.fixture
def now(clock: ManualClock) -> int:
    return to_micros(clock.now())


async def verdicts(centre: Decision, model_id: int) -> dict[str, int]:
    return dict((await centre.answers.statistics(model_id, 0)).verdicts)


def answer(shown: Any) -> pb.Model:
    return wire.model(*shown)


async def test_event_fires_when_the_other_stayed_away_until_its_time_was_up(
    centre: Decision, launch: Launch, clock: ManualClock, published: Published, now: int
) -> None:
    """Not a moment before; once; as the trigger of the event that waited."""
    model_id = await launch(not_drawn())
    outcome = await centre.ingest.take_in([viewed("a", now)], [])
    assert outcome.fired == 0
    assert await verdicts(centre, model_id) == {"VERDICT_WAITING": 1}
    clock.advance(3 * DAY_S)
    assert await centre.timer.end_due() == 0
    clock.advance(0.001)
    assert [await centre.timer.end_due(), await centre.timer.end_due()] == [1, 0]
    (told,) = await published()
    fired = pb.TriggerFired.FromString(told.payload).trigger
    assert (fired.business_key, fired.scene_id) == ("a", 4)
    assert told.chain.trigger_id == fired.trigger_id
    assert await verdicts(centre, model_id) == {"VERDICT_FIRED": 1}
    (why,) = await centre.answers.why_not(model_id, 7)
    assert why.trigger_id == fired.trigger_id


@pytest.mark.parametrize("hours", [1, 72])
async def test_other_event_within_the_time_ends_the_wait(
    centre: Decision, launch: Launch, clock: ManualClock, now: int, hours: int
) -> None:
    """The end of the time belongs to it."""
    model_id = await launch(not_drawn())
    await centre.ingest.take_in([viewed("a", now)], [])
    clock.advance(3 * DAY_S)
    await centre.ingest.take_in([drawn("d", now + hours * HOUR_US)], [])
    clock.advance(DAY_S)
    assert await centre.timer.end_due() == 0
    assert await verdicts(centre, model_id) == {"VERDICT_ENDED_BY_EVENT": 1}


async def test_other_event_of_somebody_else_or_from_before_ends_nothing(
    centre: Decision, launch: Launch, clock: ManualClock, now: int
) -> None:
    """It must be the customer's, and come after."""
    model_id = await launch(not_drawn())
    await centre.ingest.take_in([viewed("a", now)], [])
    await centre.ingest.take_in([drawn("d", now), drawn("e", now + 1, customer=8)], [])
    assert await verdicts(centre, model_id) == {"VERDICT_WAITING": 1}


async def test_other_event_that_came_first_keeps_the_wait_from_beginning(
    centre: Decision, launch: Launch, now: int
) -> None:
    """Also in the same request."""
    model_id = await launch(not_drawn())
    await centre.ingest.take_in([drawn("d", now - 5)], [])
    both = [viewed("a", now - 10), viewed("b", now, customer=8), drawn("e", now + 1, customer=8)]
    await centre.ingest.take_in(both, [])
    assert await verdicts(centre, model_id) == {"VERDICT_ENDED_BY_EVENT": 2}


async def test_other_event_that_was_reversed_ends_nothing(
    centre: Decision, launch: Launch, clock: ManualClock, published: Published, now: int
) -> None:
    """Reversed with its request, or before the viewing came; and a backtest says the same."""
    model_id = await launch(not_drawn())
    early = drawn("d", now - 5)
    await centre.ingest.take_in([early], [])
    await centre.ingest.take_in([], [reversal(early)])
    await centre.ingest.take_in([viewed("a", now - 10)], [])
    late = drawn("e", now)
    await centre.ingest.take_in([late], [reversal(late)])
    clock.advance(3 * DAY_S)
    assert await centre.timer.end_due() == 1
    assert await verdicts(centre, model_id) == {"VERDICT_FIRED": 1}
    types = {"loan.offer_viewed", "loan.drawdown"}
    clock.advance(1)
    now_us = to_micros(clock.now())
    histories = centre.store.histories.by_customer(types, since_us=0, until_us=now_us)
    (facts,) = [facts async for facts in histories]
    (replayed,) = replay(rule_of(not_drawn()), facts, since_us=0, now_us=now_us)
    assert replayed.verdict.name == "FIRED"


async def test_reversal_of_the_waiting_event_ends_the_wait(
    centre: Decision, launch: Launch, clock: ManualClock, published: Published, now: int
) -> None:
    """Nothing fires."""
    model_id = await launch(not_drawn())
    waiting = viewed("a", now)
    await centre.ingest.take_in([waiting], [])
    assert (await centre.ingest.take_in([], [reversal(waiting)])).reversed == 1
    clock.advance(4 * DAY_S)
    assert await centre.timer.end_due() == 0
    assert await verdicts(centre, model_id) == {"VERDICT_REVERSED": 1}
    assert await published() == []


async def test_two_waits_of_one_window_fire_once(
    centre: Decision, launch: Launch, clock: ManualClock, published: Published, now: int
) -> None:
    """The earlier one; and an ended one leaves the window to the next."""
    model_id = await launch(not_drawn())
    await centre.ingest.take_in([viewed("b", now + 2), viewed("a", now + 1)], [])
    clock.advance(4 * DAY_S)
    await centre.timer.end_due()
    assert await verdicts(centre, model_id) == {"VERDICT_FIRED": 1, "VERDICT_COOLDOWN": 1}
    (told,) = await published()
    assert pb.TriggerFired.FromString(told.payload).trigger.business_key == "a"


async def test_wait_of_a_paused_model_does_not_fire_and_of_a_replaced_version_does(
    centre: Decision, launch: Launch, clock: ManualClock, published: Published, now: int
) -> None:
    """Pause stops all of a model; a new version leaves what the old one began to it (X8, X14)."""
    model_id = await launch(not_drawn())
    await centre.ingest.take_in([viewed("a", now)], [])
    await centre.models.draft(model_id, not_drawn(), "an", answer)
    await centre.backtests.make(model_id, 1, lambda found: found)
    await centre.models.submit(model_id, "an", answer)
    await centre.models.launch(model_id, "bo", answer)
    await centre.ingest.take_in([viewed("b", now, customer=8)], [])
    clock.advance(4 * DAY_S)
    await centre.timer.end_due()
    fired = [pb.TriggerFired.FromString(each.payload).trigger for each in await published()]
    assert [(t.business_key, t.model_version) for t in fired] == [("a", 1), ("b", 2)]
    await centre.ingest.take_in([viewed("c", now + 1, customer=9)], [])
    await centre.models.pause(model_id, answer)
    await centre.timer.end_due()
    assert len(await published()) == 2
    assert (await verdicts(centre, model_id))["VERDICT_NOT_LIVE"] == 1


async def test_timer_ends_more_waits_than_fit_in_one_transaction(
    centre: Decision,
    launch: Launch,
    clock: ManualClock,
    now: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It goes on until none is due."""
    monkeypatch.setattr(timers, "BATCH", 2)
    model_id = await launch(not_drawn())
    events = [viewed(f"v{n}", now, customer=n + 1) for n in range(5)]
    await centre.ingest.take_in(events, [])
    clock.advance(4 * DAY_S)
    assert [await centre.timer.end_due() for _ in range(4)] == [2, 2, 1, 0]
    assert await verdicts(centre, model_id) == {"VERDICT_FIRED": 5}


async def test_timer_runs_by_itself_and_is_woken_by_new_waits(
    centre: Decision, launch: Launch, store: Any, now: int
) -> None:
    """An event that comes after its time had run out fires at once."""
    model_id = await launch(not_drawn())
    async with centre.timer:
        await centre.ingest.take_in([viewed("a", now - 4 * DAY_US)], [])
        async with asyncio.timeout(10):
            await store.outbox.wait()
    assert await verdicts(centre, model_id) == {"VERDICT_FIRED": 1}


async def test_timer_outlives_what_nobody_foresaw(
    centre: Decision, launch: Launch, store: Any, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else no wait of the process would end any more, and nobody would see why."""
    model_id = await launch(not_drawn())
    monkeypatch.setattr(timers, "LOOK_S", 0.01)
    failures, end_due = iter([LookupError(), RuntimeError()]), centre.timer.end_due

    async def failing() -> int:
        for failure in failures:
            raise failure
        return await end_due()

    monkeypatch.setattr(centre.timer, "end_due", failing)
    async with centre.timer:
        await centre.ingest.take_in([viewed("a", now - 4 * DAY_US)], [])
        async with asyncio.timeout(10):
            await store.outbox.wait()
    assert await verdicts(centre, model_id) == {"VERDICT_FIRED": 1}
