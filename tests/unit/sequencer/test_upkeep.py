"""What is forgotten in time, and who is warned of a sequence's end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from mesh.clock import ManualClock
from mesh.telemetry import Meters
from sequencer import upkeep
from sequencer.definition import Definition, State
from sequencer.ledger import Wish
from sequencer.pace import daily_pace
from sequencer.upkeep import ALL_DAYS, PAGE, WARN_DAYS, Upkeep
from tests.unit.sequencer.memory import BEGIN, MemoryStore, Server, defined

NAME = "shop.order"
DAY_S = 86_400.0


class World:
    """One server, its upkeep, and a clock that stands still."""

    def __init__(self) -> None:
        self.clock = ManualClock(BEGIN)
        self.store = MemoryStore()
        self.server = Server(self.store, clock=self.clock)
        self.meters = Meters()
        self.upkeep = Upkeep(
            self.store,
            self.store,
            sequences=self.server.sequencer,
            used=[self.server.allocator],
            clock=self.clock,
            meters=self.meters,
        )

    async def create(self, name: str = NAME, **changes: Any) -> int:
        """Make a sequence now; its identity."""
        made = defined(name, create_time=self.clock.now(), **changes)
        await self.server.sequencer.create(made, "ops/rpc")
        return made.uid

    async def lease(self, size: int, name: str = NAME) -> None:
        await self.server.sequencer.lease(name, Wish(holder="mesh:shop/1", size=size))

    def min_days_left(self) -> float:
        return self.meters.gauges["sequencer.min_days_left"]()


@pytest.fixture
def world() -> World:
    return World()


async def test_entries_are_forgotten_after_their_retention(world: World) -> None:
    """Not a moment before it, and never the tip."""
    uid = await world.create(retention_days=30)
    for _ in range(3):
        await world.lease(10)
        world.clock.advance(10 * DAY_S)

    await world.upkeep.look()
    assert sorted(world.store.logs[uid]) == [1, 2, 3, 4], "30 days are not over yet"
    world.clock.advance(1)
    await world.upkeep.look()
    assert sorted(world.store.logs[uid]) == [3, 4]
    world.clock.advance(300 * DAY_S)
    await world.upkeep.look()
    assert sorted(world.store.logs[uid]) == [4]
    assert world.meters.counter("sequencer.entries_purged").value == 3


async def test_every_sequence_is_looked_after(world: World) -> None:
    """Page by page, those that nobody uses and those that are retired too."""
    names = [f"many.s{number:04}" for number in range(PAGE + 2)]
    uids = [await world.create(name, retention_days=1) for name in names]
    for name in names:
        await world.server.sequencer.set_state(name, State.DRAINING, "ops/rpc")
    await world.server.sequencer.set_state(names[-1], State.RETIRED, "ops/rpc")
    world.clock.advance(2 * DAY_S)

    await world.upkeep.look()

    assert {len(world.store.logs[uid]) for uid in uids} == {1}


async def test_young_sequences_cost_no_look_at_their_logs(world: World) -> None:
    """What cannot have old entries is passed by."""
    for number in range(10):
        await world.create(f"young.s{number}")
    looks = world.store.looks

    await world.upkeep.look()

    assert world.store.looks == looks


async def test_a_sequence_that_runs_out_is_told_of_once_a_day(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """By name and days; again on the next day; not when it lasts long enough."""
    await world.create(max_value=10_000)
    await world.create("long.lasting")
    for _ in range(5):
        world.clock.advance(DAY_S)
        await world.lease(1_000)
        await world.lease(1_000, "long.lasting")

    for _ in range(3):
        await world.upkeep.look()
    assert told(caplog) == [{"sequence": NAME, "days_left": 5.0}]
    assert world.min_days_left() == pytest.approx(5.0)

    world.clock.advance(DAY_S)
    await world.upkeep.look()
    assert told(caplog)[1:] == [{"sequence": NAME, "days_left": 6.0}]


async def test_nothing_is_told_of_what_lasts(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither at the limit, nor of a cycle, nor of a sequence that nobody takes from."""
    await world.create(max_value=int(WARN_DAYS) * 100 + 100)
    await world.create("a.cycle", max_value=2_000, cycle=True)
    world.clock.advance(DAY_S)
    await world.lease(100)
    await world.lease(1_000, "a.cycle")

    await world.upkeep.look()

    assert told(caplog) == []
    assert world.min_days_left() == pytest.approx(WARN_DAYS)


async def test_the_gauge_shows_a_century_while_nothing_ends(world: World) -> None:
    """It is a number before the first look, and without sequences."""
    assert world.min_days_left() == ALL_DAYS
    await world.upkeep.look()
    assert world.min_days_left() == ALL_DAYS


async def test_a_failing_store_does_not_end_the_upkeep(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is logged, and tried again."""
    uid = await world.create(retention_days=1)
    await world.lease(1)
    world.clock.advance(2 * DAY_S)
    monkeypatch.setattr(upkeep, "EVERY_S", 0.0)
    world.store.is_down = True
    async with world.upkeep:
        await until(lambda: "upkeep_failed" in caplog.messages)
        world.store.is_down = False
        await until(lambda: len(world.store.logs[uid]) == 1)


async def test_a_sequence_that_was_put_away_is_passed_over(world: World) -> None:
    """As by a copy of the store from before it was made."""
    copy = world.store.copy()
    await world.create()
    await world.lease(1)
    world.store.put_back(copy)

    await world.upkeep.look()


@pytest.mark.parametrize("days", [0, 1, 6, 7, 8, 100])
async def test_the_pace_is_that_of_the_last_week(world: World, days: int) -> None:
    """What was granted earlier does not count, however long the log is; nor what was purged."""
    uid = await world.create()
    for _ in range(50):
        await world.lease(1_000)
    world.clock.advance(days * DAY_S)
    for _ in range(70):
        await world.lease(10)
    tip = world.store.newest(uid).tip

    async def pace() -> float:
        return await daily_pace(world.store, uid, tip, now=world.clock.now(), create_time=BEGIN)

    recent = 700 + (50_000 if days <= 7 else 0)
    assert await pace() == pytest.approx(recent / min(max(days, 1 / 24), 7))
    await world.store.purge(uid, BEGIN + timedelta(seconds=1), tip.number)
    assert await pace() <= recent / min(max(days, 1 / 24), 7)


async def test_a_sequence_that_rested_for_a_week_has_no_pace(world: World) -> None:
    """What was granted before it does not count, its newest entry neither."""
    uid = await world.create()
    await world.lease(100)
    world.clock.advance(8 * DAY_S)
    tip = world.store.newest(uid).tip

    assert await daily_pace(world.store, uid, tip, now=world.clock.now(), create_time=BEGIN) == 0


async def test_ids_that_were_jumped_over_are_no_pace(world: World) -> None:
    """A jump of the fence is not a reason to warn."""
    uid = await world.create()
    await world.lease(100)
    await world.server.sequencer.fence(NAME, 1_000_000, "ops/rpc")
    world.clock.advance(DAY_S)
    await world.lease(50)
    tip = world.store.newest(uid).tip

    pace = await daily_pace(world.store, uid, tip, now=world.clock.now(), create_time=BEGIN)

    assert pace == pytest.approx(50)


def told(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    return [
        record.__dict__["values"]
        for record in caplog.records
        if record.message == "sequence_runs_out"
    ]


async def until(condition: Callable[[], bool]) -> None:
    """Return once it holds; the test's time-out bounds the wait."""
    while not condition():  # noqa: ASYNC110 - nobody sets an event
        await asyncio.sleep(0.001)


@dataclass
class Served:
    """Sequences that are served without the allocator."""

    found: list[Definition]

    def in_use(self) -> list[Definition]:
        return self.found


async def test_sequences_that_are_used_without_the_allocator_are_warned_of(world: World) -> None:
    """Numbers without gaps go by no log: who serves them names them."""
    uid = await world.create(max_value=100)
    await world.lease(50)
    definition = await world.store.get(uid)
    assert definition is not None
    meters = Meters()
    upkeep = Upkeep(
        world.store,
        world.store,
        sequences=world.server.sequencer,
        used=[Served([]), Served([definition])],
        clock=world.clock,
        meters=meters,
    )
    await upkeep.look()

    assert meters.gauges["sequencer.min_days_left"]() < WARN_DAYS
