"""Backtests over the real database."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import chain

import pytest

from centers.decision import backtest_rows, wire
from centers.decision.app import Decision
from centers.decision.backtests import Period
from centers.decision.domain import DAY_US, Event
from centers.decision.errors import DecisionReason
from centers.decision.rule import rule_of
from engine.decision.v1 import decision_pb2 as pb
from mesh.clock import ManualClock, to_micros
from mesh.errors import MeshError

HOUR_US = DAY_US // 24
LARGE = 5_000_000


def model() -> pb.Model:
    return pb.Model(
        name="large",
        event_type="core.inflow",
        threshold=pb.Threshold(at_least=LARGE),
        scene_id=9,
    )


def inflow(key: str, at_us: int, customer: int, amount: int = LARGE) -> Event:
    return Event(
        event_type="core.inflow",
        business_key=key,
        customer_id=customer,
        occurred_us=at_us,
        numbers={"amount_fen": amount},
        texts={"class": "SALARY"},
    )


@pytest.fixture
def now(clock: ManualClock) -> int:
    return to_micros(clock.now())


async def made(centre: Decision, events: Sequence[Event], days: int = 3) -> pb.Backtest:
    for start in range(0, len(events), 5_000):
        await centre.ingest.take_in(events[start : start + 5_000], [])
    drafted = await centre.models.draft(0, model(), "an", lambda shown: wire.model(*shown))
    model_id = drafted.definition.definition_id
    return await centre.backtests.make(model_id, days, lambda found: found)


async def listed(centre: Decision, backtest_id: int, size: int) -> list[list[int]]:
    pages, token, more = [], "", True
    while more:
        request = pb.ListBacktestCustomersRequest(
            backtest_id=backtest_id, page_size=size, page_token=token
        )
        _, page = await centre.backtests.customers(backtest_id, wire.customers_page(request))
        pages.append([*page.entries])
        token, more = page.next_token, bool(page.next_token)
    return pages


async def test_backtest_counts_days_and_names_examples(centre: Decision, now: int) -> None:
    """Days are the bank's, those without a trigger are there too; twelve customers, ten named."""
    events = [inflow(f"a{n}", now - 13 * HOUR_US, n + 1) for n in range(12)]  # 23:00 yesterday
    events += [inflow("b", now - 11 * HOUR_US, 1), inflow("c", now, 2, amount=1)]
    found = await made(centre, events)
    assert [(day.day, day.triggers) for day in found.days] == [
        ("2026-02-26", 0),
        ("2026-02-27", 0),
        ("2026-02-28", 12),
        ("2026-03-01", 0),
    ]
    assert dict(found.statistics.verdicts) == {
        "VERDICT_FIRED": 12,
        "VERDICT_COOLDOWN": 1,
        "VERDICT_BELOW_ABSOLUTE": 1,
    }
    assert list(found.examples) == list(range(1, 11))
    assert found.model_version == 1


async def test_events_before_the_period_are_not_counted_but_hold_their_window(
    centre: Decision, now: int
) -> None:
    """As they did for the live model: the window began before the period."""
    events = [inflow("a", now - 3 * DAY_US - HOUR_US, 1), inflow("b", now - 3 * DAY_US + 1, 1)]
    found = await made(centre, events)
    assert dict(found.statistics.verdicts) == {"VERDICT_COOLDOWN": 1}


async def test_customers_of_a_backtest_are_paged(
    centre: Decision, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rising, each once, whatever lies in one row of the database."""
    monkeypatch.setattr(backtest_rows, "PACKED", 4)
    events = [inflow(f"a{n}", now - n % 2 * DAY_US, 100 - n % 50) for n in range(75)]
    found = await made(centre, events)
    pages = await listed(centre, found.backtest_id, 7)
    assert [len(page) for page in pages] == [7] * 7 + [1]
    assert list(chain.from_iterable(pages)) == list(range(51, 101))
    assert await listed(centre, found.backtest_id, 0) == [list(range(51, 101))]


async def test_backtests_are_kept_for_thirty_days(
    centre: Decision, clock: ManualClock, now: int
) -> None:
    """The next one that is made forgets those that are older."""
    first = await made(centre, [inflow("a", now, 1)])
    clock.advance(31 * 86_400)
    await made(centre, [])
    with pytest.raises(MeshError) as error:
        await listed(centre, first.backtest_id, 0)
    assert error.value.reason is DecisionReason.BACKTEST_NOT_FOUND


async def test_backtest_lets_others_run(centre: Decision, now: int) -> None:
    """The loop gets a turn every few hundred decisions, also within one customer."""
    await centre.ingest.take_in([inflow(f"a{n}", now - n, 1) for n in range(5_000)], [])
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    period = Period(start_us=now - DAY_US, end_us=now)
    await centre.backtests.findings(rule_of(model()), period)
    task.cancel()
    assert turns >= 25


async def test_backtest_keeps_what_it_was_made_of(centre: Decision, now: int) -> None:
    """For who asks for its customers later."""
    found = await made(centre, [inflow("a", now, 1)])
    head = await centre.store.backtests.head(found.backtest_id)
    assert head is not None
    assert (head.days, head.scene_id) == (3, 9)
