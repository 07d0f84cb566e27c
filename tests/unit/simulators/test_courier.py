"""Telling reports: in order by key, at least once, and never all at a time."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest

from mesh.clock import ManualClock
from mesh.storage import SQLiteStore, Store, migrations
from mesh.telemetry import NullTracer
from simulators.courier import BATCH, CONCURRENCY, KEPT, Courier
from simulators.reports import Report, ReportStore, owe
from simulators.sms.app import BLUEPRINT

UNAVAILABLE, NOT_FOUND = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    path = tmp_path / "sms.db"
    assert BLUEPRINT.migrations is not None
    migrations.upgrade(path, BLUEPRINT.migrations)
    async with SQLiteStore(path, tracer=NullTracer()) as store:
        yield store


class Bank:
    """Hears reports "key:number"; it refuses a key with the code that the test says."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.tried: Counter[str] = Counter()
        self.refuses: dict[str, grpc.StatusCode] = {}
        self.told = asyncio.Event()
        self.now = self.most = 0

    async def send(self, payload: bytes) -> None:
        report = payload.decode()
        key, _, _ = report.partition(":")
        self.tried[report] += 1
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        if key in self.refuses:
            empty = grpc.aio.Metadata()
            raise grpc.aio.AioRpcError(self.refuses[key], empty, empty, details="")
        self.heard.append(report)
        self.told.set()


class Party:
    """An outside party's courier, moved on by hand."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.bank = Bank()
        self.reports = ReportStore(store)
        self.courier = Courier(self.reports, self.bank.send, self.clock)

    async def owe(self, *reports: str) -> None:
        owed = [Report(key=int(one.partition(":")[0]), payload=one.encode()) for one in reports]
        async with self.store.transaction() as tx:
            await owe(tx, owed, self.clock.now())

    async def owed(self) -> int:
        return len(await self.reports.due(self.clock.now() + 2 * KEPT, 10_000))


@pytest.fixture
def party(store: Store) -> Party:
    return Party(store)


async def test_reports_of_a_key_are_told_in_order_and_few_at_a_time(party: Party) -> None:
    """More than a batch: all are told once, those of a key one after another."""
    await party.owe(*(f"{key}:{number}" for number in range(3) for key in range(BATCH // 2)))
    while await party.courier._round():
        pass
    lanes = defaultdict(list)
    for report in party.bank.heard:
        key, _, number = report.partition(":")
        lanes[key].append(int(number))
    assert list(lanes.values()) == [[0, 1, 2]] * (BATCH // 2)
    assert party.bank.most == CONCURRENCY
    assert await party.owed() == 0


async def test_refused_report_holds_up_its_key_alone(party: Party) -> None:
    """The rest is told; the key's reports come later, still in their order."""
    party.bank.refuses = {"1": NOT_FOUND}
    await party.owe("1:a", "1:b", "2:a")
    assert await party.courier._round()
    assert party.bank.heard == ["2:a"]
    assert not await party.courier._round()
    party.bank.refuses = {}
    party.clock.advance(0.1)
    assert await party.courier._round()
    assert party.bank.heard == ["2:a", "1:a", "1:b"]


async def test_delays_of_a_refused_report_grow_up_to_a_bound(party: Party) -> None:
    """Seldom enough not to disturb, often enough to arrive soon after all."""
    party.bank.refuses = {"1": NOT_FOUND}
    await party.owe("1:a")
    delays = []
    for _ in range(11):
        assert await party.courier._round()
        due = await party.reports.next_due()
        assert due is not None
        delays.append((due - party.clock.now()).total_seconds())
        party.clock.advance(delays[-1])
    assert delays == [*(0.1 * 2**n for n in range(9)), 30.0, 30.0]


async def test_report_that_is_refused_for_days_is_given_up(party: Party) -> None:
    """What nobody wants to know is not told for ever."""
    party.bank.refuses = {"1": NOT_FOUND}
    await party.owe("1:a")
    party.clock.advance((KEPT + timedelta(seconds=1)).total_seconds())
    await party.courier._round()
    assert await party.owed() == 0


async def test_outage_ends_a_round_and_loses_nothing(party: Party) -> None:
    """While the bank is away it is not asked for each report, however long it takes."""
    keys = range(100)
    party.bank.refuses = dict.fromkeys(map(str, keys), UNAVAILABLE)
    await party.owe(*(f"{key}:a" for key in keys))
    party.clock.advance(2 * KEPT.total_seconds())
    await party.courier._round()
    assert sum(party.bank.tried.values()) <= CONCURRENCY
    party.bank.refuses = {}
    await party.courier._round()
    assert len(party.bank.heard) == len(keys)


async def test_news_wake_the_courier(party: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    """It tells what is owed when it is entered, and what is owed later when it is woken."""
    monkeypatch.setattr("simulators.courier.LOOK_S", 3_600.0)
    await party.owe("1:a")
    async with asyncio.timeout(30), party.courier:
        await party.bank.told.wait()
        party.bank.told.clear()
        await party.owe("1:b")
        party.courier.wake()
        await party.bank.told.wait()
    assert party.bank.heard == ["1:a", "1:b"]
