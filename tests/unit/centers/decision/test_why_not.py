"""Why a model fired or did not, without the customer's amounts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from centers.decision import wire
from centers.decision.app import Decision
from centers.decision.domain import DAY_US, Event, Explained, Reversal
from engine.decision.v1 import decision_pb2 as pb
from mesh.clock import ManualClock, to_micros

Launch = Callable[[pb.Model], Awaitable[int]]

LARGE = 5_000_000


def model() -> pb.Model:
    made = pb.Model(
        name="large",
        event_type="core.inflow",
        filter="amount_fen != 77 && channel == 'APP'",
        exclusion_classes=["REDEMPTION"],
        scene_id=9,
    )
    made.threshold.at_least = LARGE
    made.threshold.own_percentile_bp = 9_500
    made.threshold.own_multiple_bp = 30_000
    return made


def inflow(key: str, at_us: int, amount: int, **texts: str) -> Event:
    return Event(
        event_type="core.inflow",
        business_key=key,
        customer_id=7,
        occurred_us=at_us,
        numbers={"amount_fen": amount},
        texts={"class": "SALARY", "channel": "APP", **texts},
    )


@pytest.fixture
def now(clock: ManualClock) -> int:
    return to_micros(clock.now())


FILTER = ("amount_fen != 77 → true", "channel == 'APP': 'APP' → true")
LARGE_ENOUGH = (*FILTER, "amount_fen >= 5000000 → true")
OWN = "amount_fen >= 3 × own percentile 95 of"
EXCLUDED = "class not in REDEMPTION: REDEMPTION → false"
CLASS = "class not in REDEMPTION: SALARY → true"


async def test_path_ends_with_the_condition_that_decided(
    centre: Decision, launch: Launch, now: int
) -> None:
    """In the order in which conditions are tried, with what each came to."""
    model_id = await launch(model())
    events = [
        inflow("reversed", now - DAY_US, 66_000_000),
        inflow("filtered", now - 9, 1_000_000, channel="ATM"),
        inflow("small", now - 8, 1_000_000),
        inflow("excluded", now - 7, 6_000_000, **{"class": "REDEMPTION"}),
        inflow("own", now - 6, 6_000_000),
        inflow("fired", now - 5, 66_000_000),
        inflow("cooldown", now - 4, 700_000_000),
    ]
    back = Reversal(
        event_type="core.inflow", business_key="reversed", occurred_us=now, reason="ERROR"
    )
    assert (await centre.ingest.take_in(events, [back])).fired == 1
    found = await centre.answers.why_not(model_id, 7)
    few = "earlier events → not asked, 3 are needed"
    window = "no other trigger in the window from 2026-03-01T00:00:00Z →"
    assert {each.business_key: each.path for each in found} == {
        "filtered": (FILTER[0], "channel == 'APP': 'ATM' → false"),
        "small": (*FILTER, "amount_fen >= 5000000 → false"),
        "excluded": (*LARGE_ENOUGH, f"{OWN} 2 {few}", EXCLUDED),
        "own": (*LARGE_ENOUGH, f"{OWN} 3 earlier events → false"),
        "fired": (
            *LARGE_ENOUGH,
            f"{OWN} 4 earlier events → true",
            CLASS,
            f"{window} true",
            "not reversed → true",
        ),
        "cooldown": (*LARGE_ENOUGH, f"{OWN} 5 earlier events → true", CLASS, f"{window} false"),
        "reversed": (
            *LARGE_ENOUGH,
            f"{OWN} 0 {few}",
            CLASS,
            window.replace("03-01", "02-28") + " true",
            "not reversed → false",
        ),
    }


async def test_event_that_came_before_the_launch_says_so(
    centre: Decision, launch: Launch, now: int
) -> None:
    """It was decided by nobody."""
    await centre.ingest.take_in([inflow("a", now, LARGE)], [])
    model_id = await launch(model())
    (found,) = await centre.answers.why_not(model_id, 7)
    assert (found.verdict.name, found.model_version, found.trigger_id) == ("NOT_LIVE", 0, 0)
    assert found.path == ("the model was live when the event came → false",)


async def test_at_most_twenty_events_are_told(centre: Decision, launch: Launch, now: int) -> None:
    """The latest."""
    model_id = await launch(model())
    await centre.ingest.take_in([inflow(f"k{n:02}", now - n, LARGE) for n in range(25)], [])
    found = await centre.answers.why_not(model_id, 7)
    assert [each.business_key for each in found] == [f"k{n:02}" for n in range(20)]


async def test_path_of_a_wait_tells_until_when(centre: Decision, launch: Launch, now: int) -> None:
    """And how it ended."""
    waiting = pb.Model(name="not drawn", event_type="loan.offer_viewed", scene_id=1)
    waiting.absence.event_type = "loan.drawdown"
    waiting.absence.within.seconds = 3 * 86_400
    model_id = await launch(waiting)

    def event(kind: str, at_us: int, **numbers: int) -> Event:
        return Event(
            event_type=kind,
            business_key="k",
            customer_id=7,
            occurred_us=at_us,
            numbers=numbers,
            texts={},
        )

    await centre.ingest.take_in([event("loan.offer_viewed", now, offer_id=1)], [])
    (found,) = await centre.answers.why_not(model_id, 7)
    text = "loan.drawdown stays away for 3 days, 0:00:00 →"
    assert found.path == ("not reversed → true", f"{text} waiting until 2026-03-04T04:00:00Z")
    await centre.ingest.take_in([event("loan.drawdown", now + 1, amount_fen=1)], [])
    (found,) = await centre.answers.why_not(model_id, 7)
    assert found.path == ("not reversed → true", f"{text} false")


async def test_x7_no_path_shows_an_amount_of_the_customer(
    centre: Decision, launch: Launch, now: int
) -> None:
    """Neither the event's nor his percentile: thresholds of the model alone."""
    model_id = await launch(model())
    amounts = [31_415_926 + n for n in range(12)]
    events = [inflow(f"k{n}", now - DAY_US * n, amount) for n, amount in enumerate(amounts)]
    await centre.ingest.take_in(events, [])
    text = str([wire.decision(each) for each in await centre.answers.why_not(model_id, 7)])
    assert "amount_fen" in text
    assert not any(str(amount)[:4] in text for amount in amounts)


def test_decision_message_has_all_of_it() -> None:
    """As the contract shows it."""
    fields: dict[str, Any] = {"business_key": "k", "event_type": "core.inflow", "path": ("a", "b")}
    from centers.decision.domain import Verdict

    shown = wire.decision(
        Explained(**fields, occurred_us=5, verdict=Verdict.FIRED, trigger_id=3, model_version=2)
    )
    assert (shown.verdict, list(shown.path)) == (pb.VERDICT_FIRED, ["a", "b"])
    assert (shown.occurred_time.nanos, shown.trigger_id, shown.model_version) == (5_000, 3, 2)
