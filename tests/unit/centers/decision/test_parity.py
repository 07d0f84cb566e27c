"""Backtest ≡ live, exactly one trigger, and reversals, by property over the real database."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections import defaultdict
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from shutil import copyfile
from typing import Any, Self

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from centers.decision import wire
from centers.decision.app import BLUEPRINT, Decision
from centers.decision.backtests import Period
from centers.decision.domain import DAY_US, Event, Fact, Reversal, Trigger, Verdict
from centers.decision.replay import replay
from centers.decision.rule import rule_of
from engine.decision.v1 import decision_pb2 as pb
from mesh.clock import ManualClock, to_micros
from mesh.storage import SQLiteStore, migrations
from mesh.telemetry import NullTracer

START = to_micros(ManualClock().now())
HOUR_US = DAY_US // 24

few_examples = settings(
    max_examples=12,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is handed in at once, some time after the request before."""

    events: Sequence[Event]
    reversals: Sequence[Reversal]
    pause_s: float


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that has its tables: copied, since making them takes a while."""
    path = tmp_path_factory.mktemp("decision") / "empty.db"
    assert BLUEPRINT.migrations is not None
    migrations.upgrade(path, BLUEPRINT.migrations)
    return path


def inflow(key: int, customer: int, hour: int, amount: int, kind: str) -> Event:
    return Event(
        event_type="core.inflow",
        business_key=f"k{key}",
        customer_id=customer,
        occurred_us=START + hour * HOUR_US,
        numbers={"amount_fen": amount},
        texts={"class": kind},
    )


@st.composite
def requests(draw: st.DrawFn, *, kinds: Sequence[str] = ("SALARY", "REDEMPTION")) -> list[Request]:
    """Some events of a few customers, with duplicates and reversals, in any order."""
    facts = draw(
        st.lists(
            st.tuples(
                st.integers(1, 3), st.integers(0, 96), st.integers(1, 12), st.sampled_from(kinds)
            ),
            min_size=1,
            max_size=30,
        )
    )
    events = [inflow(n, *fact) for n, fact in enumerate(facts)]
    handed_in: list[Event | Reversal] = [*events, *draw(st.lists(st.sampled_from(events)))]
    handed_in += map(reversal, draw(st.lists(st.sampled_from(events), max_size=6)))
    shuffled = draw(st.permutations(handed_in))
    found = []
    while shuffled:
        size = draw(st.integers(1, 12))
        found.append(request(shuffled[:size], draw(st.integers(0, 100))))
        shuffled = shuffled[size:]
    return found


def reversal(event: Event) -> Reversal:
    return Reversal(
        event_type=event.event_type,
        business_key=event.business_key,
        occurred_us=event.occurred_us,
        reason="ERROR",
    )


def request(entries: Sequence[Event | Reversal], pause_s: float = 0.0) -> Request:
    return Request(
        events=[each for each in entries if isinstance(each, Event)],
        reversals=[each for each in entries if isinstance(each, Reversal)],
        pause_s=pause_s,
    )


def model(*, own: bool) -> pb.Model:
    made = pb.Model(
        name="large",
        event_type="core.inflow",
        filter="class != 'THIRD_PARTY'",
        exclusion_classes=["REDEMPTION"],
        scene_id=1,
    )
    made.threshold.at_least = 3
    if own:
        made.threshold.own_percentile_bp = 5_000
        made.threshold.own_multiple_bp = 15_000
        made.threshold.history_days = 2
    made.cooldown.seconds = 12 * 3600
    return made


class Ids:
    def __init__(self) -> None:
        self._ids = count(1)

    async def next(self) -> int:
        return next(self._ids)

    async def take(self, number: int) -> Sequence[int]:
        return [next(self._ids) for _ in range(number)]


class Live:
    """A centre of its own with one live model, for one example."""

    def __init__(self, empty: Path, body: pb.Model) -> None:
        self._empty = empty
        self.body = body
        self.clock = ManualClock()

    async def __aenter__(self) -> Self:
        self._stack = AsyncExitStack()
        folder = self._stack.enter_context(tempfile.TemporaryDirectory())
        path = Path(folder) / "decision.db"
        copyfile(self._empty, path)
        store = SQLiteStore(path, tracer=NullTracer())
        await self._stack.enter_async_context(store)
        self.centre = Decision(store, Ids(), Ids(), self.clock)
        models = self.centre.models
        drafted = await models.draft(0, self.body, "an", lambda shown: wire.model(*shown))
        self.model_id = drafted.definition.definition_id
        await self.centre.backtests.make(self.model_id, 1, lambda found: found)
        await models.submit(self.model_id, "an", lambda shown: wire.model(*shown))
        await models.launch(self.model_id, "bo", lambda shown: wire.model(*shown))
        self.clock.advance(5 * 86_400)  # all that is handed in lies in the past
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def hand_in(self, given_: Sequence[Request]) -> None:
        for each in given_:
            self.clock.advance(each.pause_s)
            await self.centre.ingest.take_in(each.events, each.reversals)

    async def triggers(self) -> list[Trigger]:
        from mesh.paging import PageRequest

        page = PageRequest(listing="t", size=1_000, token="")
        return [*(await self.centre.answers.triggers(self.model_id, page)).entries]

    async def facts(self) -> dict[int, list[Fact]]:
        found: dict[int, list[Fact]] = {}
        types = {"core.inflow", "loan.offer_viewed", "loan.drawdown"}
        histories = self.centre.store.histories
        async for facts in histories.by_customer(types, since_us=0, until_us=2 * START):
            found[facts[0].customer_id] = [*facts]
        return found


def run(body: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner() as runner:
        runner.run(body)


@few_examples
@given(handed_in=requests(), own=st.booleans())
def test_x12_backtest_of_the_log_comes_to_what_was_decided_live(
    empty: Path, handed_in: list[Request], own: bool
) -> None:
    """Bit by bit: verdict and history of each event, for any order, duplicates and reversals."""

    async def example() -> None:
        async with Live(empty, model(own=own)) as live:
            await live.hand_in(handed_in)
            rule, now_us = rule_of(live.body), to_micros(live.clock.now())
            replayed = {
                each.fact.business_key: (each.verdict, each.earlier)
                for facts in (await live.facts()).values()
                for each in replay(rule, facts, since_us=0, now_us=now_us)
            }
            decisions = live.centre.store.decisions
            decided = await decisions.on_events(live.model_id, [*replayed])
            assert {k: (d.verdict, d.earlier) for k, d in decided.items()} == replayed
            period = Period(start_us=START - DAY_US, end_us=now_us)
            backtest = (await live.centre.backtests.findings(rule, period)).message().statistics
            counted = await live.centre.answers.statistics(live.model_id, 0)
            assert backtest.verdicts == counted.verdicts
            assert backtest.excluded == counted.excluded
            assert backtest.above_threshold == counted.above_threshold
            assert backtest.reversed_later == counted.reversed_later

    run(example())


@few_examples
@given(handed_in=requests(), seed=st.integers(0, 2**32))
def test_x12_order_within_a_request_changes_nothing(
    empty: Path, handed_in: list[Request], seed: int
) -> None:
    """Triggers are the same whichever way a request is sorted."""
    shuffle = random.Random(seed)
    other = [
        Request(
            events=shuffle.sample(each.events, len(each.events)),
            reversals=shuffle.sample(each.reversals, len(each.reversals)),
            pause_s=each.pause_s,
        )
        for each in handed_in
    ]

    async def fired(given_: list[Request]) -> list[tuple[str, bool]]:
        async with Live(empty, model(own=True)) as live:
            await live.hand_in(given_)
            return sorted((t.business_key, t.reversed) for t in await live.triggers())

    async def example() -> None:
        assert await fired(handed_in) == await fired(other)

    run(example())


@few_examples
@given(first=requests(kinds=("SALARY",)), seed=st.integers(0, 2**32))
def test_exactly_one_trigger_for_customer_and_window_for_any_redelivery_and_order(
    empty: Path, first: list[Request], seed: int
) -> None:
    """The same windows fire in whatever requests the same events come, and how often."""
    events = [event for each in first for event in each.events]
    expected = {
        (event.customer_id, event.occurred_us // (12 * HOUR_US))
        for event in events
        if event.numbers["amount_fen"] >= 3
    }
    shuffle = random.Random(seed)
    redelivered = [*events, *events]
    shuffle.shuffle(redelivered)

    async def example() -> None:
        async with Live(empty, model(own=False)) as live:
            while redelivered:
                size = shuffle.randint(1, 10)
                await live.hand_in([request(redelivered[:size])])
                del redelivered[:size]
            fired = [(t.customer_id, t.window_key) for t in await live.triggers()]
            assert len(fired) == len(set(fired))
            assert set(fired) == expected

    run(example())


@few_examples
@given(handed_in=requests())
def test_x10_reversal_undoes_the_trigger_of_its_event_at_any_stage(
    empty: Path, handed_in: list[Request]
) -> None:
    """Before, with or after: in the end no trigger of a reversed event stands."""
    taken_back = {r.business_key for each in handed_in for r in each.reversals}

    async def example() -> None:
        async with Live(empty, model(own=False)) as live:
            await live.hand_in(handed_in)
            triggers = await live.triggers()
            assert all(t.reversed == (t.business_key in taken_back) for t in triggers)
            counted = await live.centre.answers.statistics(live.model_id, 0)
            assert counted.reversed_later == sum(t.reversed for t in triggers)
            assert counted.verdicts.get("VERDICT_FIRED", 0) == len(triggers)

    run(example())


def offer(key: int, customer: int, hour: int, kind: str) -> Event:
    return Event(
        event_type=kind,
        business_key=f"{kind}{key}",
        customer_id=customer,
        occurred_us=START + hour * HOUR_US,
        numbers={"offer_id": 1} | ({"amount_fen": 1} if kind == "loan.drawdown" else {}),
        texts={},
    )


@few_examples
@given(
    steps=st.lists(
        st.tuples(
            st.integers(1, 2),
            st.integers(0, 30),
            st.sampled_from(["loan.offer_viewed", "loan.drawdown"]),
            st.booleans(),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_x12_waits_end_as_a_backtest_says_when_events_come_on_time(
    empty: Path, steps: list[tuple[int, int, str, bool]]
) -> None:
    """Viewed and not drawn for ten hours: hour by hour, live and replayed."""
    body = pb.Model(name="not drawn", event_type="loan.offer_viewed", scene_id=1)
    body.absence.event_type = "loan.drawdown"
    body.absence.within.seconds = 10 * 3600
    body.cooldown.seconds = 24 * 3600
    by_hour: defaultdict[int, list[Event | Reversal]] = defaultdict(list)
    for n, (customer, hour, kind, taken_back) in enumerate(steps):
        event = offer(n, customer, hour + 5 * 24, kind)
        by_hour[hour].append(event)
        if taken_back:
            by_hour[hour + n % 12].append(reversal(event))

    async def example() -> None:
        async with Live(empty, body) as live:
            for hour in range(45):
                if by_hour[hour]:
                    await live.hand_in([request(by_hour[hour])])
                live.clock.advance(3_600)
                while await live.centre.timer.end_due():
                    pass
            rule, now_us = rule_of(body), to_micros(live.clock.now())
            replayed = {
                each.fact.business_key: each.verdict
                for facts in (await live.facts()).values()
                for each in replay(rule, facts, since_us=0, now_us=now_us)
            }
            decisions = live.centre.store.decisions
            decided = await decisions.on_events(live.model_id, [*replayed])
            assert {key: each.verdict for key, each in decided.items()} == replayed
            assert Verdict.WAITING not in replayed.values()
            fired = sum(verdict is Verdict.FIRED for verdict in replayed.values())
            assert len(await live.triggers()) == fired

    run(example())
