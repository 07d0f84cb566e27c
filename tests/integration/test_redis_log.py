"""Logs in Redis: appends, what auditors find, floors raised ahead, moves from and to SQL."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from loadtests.servers import Redis, free_port
from mesh.clock import SystemClock
from mesh.redis import RedisClient, RedisUnavailable
from mesh.storage import Store, StoreUnavailable
from mesh.telemetry import Meters
from sequencer import ledger
from sequencer.entry import Action, Entry, Tip
from sequencer.ledger import Stamp, Wish
from sequencer.log import EntryFilter, Superseded
from sequencer.store import _redis_scripts as scripts
from sequencer.store._floors import STEP, Floors
from sequencer.store._redis import RedisLog
from sequencer.store._redis_entries import Keys
from sequencer.store._tables import METADATA
from tests.conformance.stores import SQLitePlace
from tests.integration.desks import BOUND_S, CountingStore, Desk, a_name, definition, repeated

pytestmark = pytest.mark.real

ALL = EntryFilter()
GRANTED = Action.GRANTED
FENCES = EntryFilter(actions=frozenset({Action.FENCED}))
ABOVE_ALL = 2**63 - 1
BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """The database of a sequencer."""
    place = SQLitePlace(tmp_path)
    async with place.open() as store:
        await place.create(store, *METADATA.sorted_tables)
        yield store


@pytest.fixture(params=["redis_server", "redis_cluster"])
def url(request: pytest.FixtureRequest) -> str:
    """One Redis, and a cluster."""
    found: str = request.getfixturevalue(request.param).url
    return found


@pytest.fixture
async def redis(url: str) -> AsyncIterator[RedisClient]:
    async with RedisClient(url, timeout_s=5.0) as redis:
        yield redis


class Meddled(RedisClient):
    """Meddles with one script: it goes out when `gate` is set, and its answer may be lost."""

    def __init__(self, url: str, lua: str) -> None:
        super().__init__(url, timeout_s=5.0)
        self._sha = self.script(lua)._sha
        self.gate, self.reached, self.hears = asyncio.Event(), asyncio.Event(), True
        self.gate.set()

    async def execute(self, *words: Any, timeout_s: float | None = None) -> Any:
        is_it = self._sha in words
        if is_it:
            self.reached.set()
            await self.gate.wait()
        answer = await super().execute(*words, timeout_s=timeout_s)
        if is_it and not self.hears:
            raise RedisUnavailable("the answer was lost")
        return answer


class Log:
    """The log of one sequence, in Redis; each entry is a minute after the one before."""

    def __init__(self, redis: RedisClient, store: Store) -> None:
        self.log = RedisLog(redis, store, SystemClock(), Meters())
        self.definition = definition(a_name(), create_time=BEGIN)
        self.uid = self.definition.uid
        self._minutes = 0
        self._desk = Desk(store)

    async def begin(self) -> Tip:
        """Make the sequence and have its log go on in Redis."""
        await self._desk.create(self.definition.name)
        with pytest.raises(Superseded):
            await self.add(self.grant(await self.tip()))
        return await self.tip()

    async def tip(self) -> Tip:
        tip = await self.log.tip(self.uid)
        assert tip is not None
        return tip

    def stamp(self) -> Stamp:
        self._minutes += 1
        time = BEGIN + timedelta(minutes=self._minutes)
        return Stamp(mark=secrets.randbits(63), time=time)

    def grant(self, tip: Tip, size: int = 10, holder: str = "shop/1") -> Entry:
        return ledger.grant(self.definition, tip, Wish(holder=holder, size=size), self.stamp())

    async def add(self, *entries: Entry, after: Tip | None = None) -> None:
        await self.log.append(self.uid, after or await self.tip(), entries)


@pytest.fixture
async def log(redis: RedisClient, store: Store) -> AsyncIterator[Log]:
    async with (one := Log(redis, store)).log:
        yield one


async def test_an_append_follows_the_tip_alone(log: Log) -> None:
    """Neither an older tip nor another one of its number; of several entries all or none."""
    tip = await log.begin()
    first = log.grant(tip)
    second = log.grant(first.tip)
    await log.add(first, second, after=tip)
    assert await log.tip() == second.tip
    for wrong in (tip, replace(second.tip, mark=second.tip.mark ^ 1)):
        third = log.grant(second.tip)
        with pytest.raises(Superseded):
            await log.add(third, log.grant(third.tip), after=wrong)
    assert await log.tip() == second.tip
    assert await log.log.entry(log.uid, second.number + 1) is None


async def test_numbers_of_64_bits_come_back_as_they_were(log: Log) -> None:
    """Marks and positions near the end are beyond what Lua and scores can count."""
    tip = await log.begin()
    far = ledger.fenced(
        tip, [replace(tip.witness, position=2**63 - 9)], log.stamp(), holder="a/b", note="far"
    )
    last = log.grant(far.tip, size=3)
    await log.add(far, last)
    assert (await log.tip()).position == 2**63 - 6
    assert await log.log.entry(log.uid, last.number) == last
    found = await log.log.holding(log.uid, 2**63 - 7, before=ABOVE_ALL, limit=9)
    assert list(found) == [last]


async def test_an_entry_or_the_next_one_is_found(log: Log) -> None:
    """Entries of the database and of Redis are one log, with a number left out between them."""
    tip = await log.begin()
    entry = log.grant(tip)
    await log.add(entry)
    created = await log.log.entry(log.uid, 1)
    assert created is not None
    assert created.action is Action.CREATED
    assert await log.log.entry(log.uid, entry.number) == entry
    skipped = await log.log.entry(log.uid, 3)
    assert skipped is not None
    assert (skipped.number, skipped.note) == (4, "came from the database")
    assert await log.log.entry(log.uid, entry.number + 1) is None
    assert await log.log.entry(log.uid, 2**62) is None


async def test_what_was_returned_is_found_by_its_lease(log: Log) -> None:
    """And not what was granted of it again."""
    lease = log.grant(await log.begin())
    back = ledger.take_back(lease.tip, lease, 4, log.stamp())
    assert back is not None
    again = log.grant(back.tip, size=5)
    await log.add(lease, back, again)
    assert (again.source, again.position) == (back.number, 4)
    assert await log.log.returned(log.uid, lease.number) == back
    assert await log.log.returned(log.uid, back.number) is None
    assert await log.tip() == again.tip
    holding = await log.log.holding(log.uid, 5, before=ABOVE_ALL, limit=9)
    assert list(holding) == [again, back, lease]
    assert list(await log.log.holding(log.uid, 5, before=again.number, limit=1)) == [back]
    assert list(await log.log.holding(log.uid, 3, before=ABOVE_ALL, limit=9)) == [lease]
    assert list(await log.log.holding(log.uid, 10, before=ABOVE_ALL, limit=9)) == []


async def test_auditors_choose_entries(log: Log) -> None:
    """By number, caller, action and time; newest first."""
    tip = await log.begin()
    added = []
    for number in range(30):
        added.append(log.grant(tip, holder=f"shop{number % 3}/1"))
        tip = added[-1].tip
    await log.add(*added)

    async def found(only: EntryFilter, before: int = ABOVE_ALL, limit: int = 99) -> list[Entry]:
        return [*await log.log.entries(log.uid, before=before, limit=limit, only=only)]

    newest = added[::-1]
    assert (await found(ALL))[:30] == newest
    assert [entry.action for entry in (await found(ALL))[30:]] == [
        *(Action.CHANGED, Action.CHANGED, Action.CREATED)
    ]
    assert await found(ALL, before=added[10].number, limit=4) == added[9:5:-1]
    assert await found(EntryFilter(caller="shop1")) == [e for e in newest if e.caller == "shop1"]
    span = EntryFilter(since=added[5].time, until=added[9].time, actions=frozenset({GRANTED}))
    assert await found(span) == added[8:4:-1]
    assert await found(FENCES) == []


async def test_what_callers_took_is_summed(log: Log) -> None:
    """From a moment on and before another; what was granted again counts again."""
    first = log.grant(await log.begin(), holder="a/1")
    back = ledger.take_back(first.tip, first, 4, log.stamp())
    assert back is not None
    again = log.grant(back.tip, size=2, holder="b/1")
    late = log.grant(again.tip, size=1, holder="b/2")
    await log.add(first, back, again, late)
    usage = await log.log.usage(log.uid, first.time, late.time)
    assert {who: (u.leases, u.granted, u.returned) for who, u in usage.items()} == {
        "a": (1, 10, 6),
        "b": (1, 2, 0),
    }


async def test_old_entries_are_forgotten(log: Log) -> None:
    """A block at a time, never the tip, and what they returned with them."""
    tip = await log.begin()
    lease = log.grant(tip)
    back = ledger.take_back(lease.tip, lease, 4, log.stamp())
    assert back is not None
    newest = log.grant(back.tip, size=1)
    await log.add(lease, back, newest)
    after = datetime.now(UTC) + timedelta(days=1)
    assert await log.log.purge(log.uid, after, newest.number) == 4
    assert await log.log.purge(log.uid, after, newest.number) == 0
    found = await log.log.entries(log.uid, before=ABOVE_ALL, limit=9, only=ALL)
    assert [entry.number for entry in found] == [newest.number, 2], "2 is the end in the database"
    assert await log.log.returned(log.uid, lease.number) is None
    assert await log.tip() == newest.tip


async def test_the_steady_state_asks_nothing_of_the_database(
    redis: RedisClient, store: Store
) -> None:
    """Only when half of a step is granted is the floor raised, beside what goes on."""
    name, counting = a_name(), CountingStore(store)
    async with Desk(counting, redis) as desk:
        uid = await desk.create(name)
        await desk.take(name)
        counting.counts.clear()
        for _ in range(50):
            await desk.take(name, STEP // 200)
        assert counting.counts == {}
        for _ in range(150):
            await desk.take(name, STEP // 200)
        await desk.log.__aexit__(None, None, None)
        assert counting.counts["execute"] <= 3
        assert counting.counts["fetch_all"] == counting.counts["transaction"] == 0
        floor = await Floors(store).read(uid)
        assert floor is not None
        assert floor.position - (await desk.tip(uid)).position >= STEP // 2


async def test_nothing_is_granted_beyond_the_floor(redis: RedisClient, store: Store) -> None:
    """A grant that does not fit waits until the database has the higher floor."""
    name = a_name()
    async with Desk(store, redis) as desk:
        uid = await desk.create(name)
        for size in (1, 2 * STEP, 3 * STEP):
            entry = await desk.take(name, size)
            floor = await Floors(store).read(uid)
            assert floor is not None
            assert entry.stop <= floor.position


async def test_servers_share_a_log(redis: RedisClient, store: Store) -> None:
    """Two at once, cold, on a sequence that is still in the database."""
    name = a_name()
    async with Desk(store, redis) as one, Desk(store, redis) as two:
        await one.create(name)
        both = await asyncio.gather(one.take_many(name, 200), two.take_many(name, 200))
    entries = [entry for found in both for entry in found]
    assert len(entries) == 400
    assert repeated(entries) == []
    assert max(entry.stop for entry in entries) == 400 * 100, "none was lost"


async def test_all_is_lost_and_no_id_repeats(redis: RedisClient, store: Store) -> None:
    """Two servers go on, and a cold one, each time behind the floor and in a higher epoch."""
    name, entries = a_name(), []
    async with Desk(store, redis) as one, Desk(store, redis) as two:
        uid = await one.create(name)
        for _ in range(3):
            for found in await asyncio.gather(one.take_many(name, 80), two.take_many(name, 80)):
                entries += found
            await _flush(redis, uid)
        async with Desk(store, redis) as cold:
            entries += await cold.take_many(name, 80)
            tip = await cold.tip(uid)
            (fenced,) = await cold.log.entries(uid, before=ABOVE_ALL, limit=9, only=FENCES)
    assert repeated(entries) == []
    assert len({entry.number for entry in entries}) == len(entries), "numbers go on as well"
    assert tip.epoch >= 3, "two servers that go on at once may both have raised it"
    assert fenced.note == "redis kept nothing: went on from the floor"
    assert tip.position < 3 * 3 * STEP, "a loss costs a few steps at most"


async def _flush(redis: RedisClient, uid: int) -> None:
    """What FLUSHALL does to a sequence."""
    await redis.execute("DEL", *Keys(uid).all)


async def test_a_short_sequence_outlives_losses(redis: RedisClient, store: Store) -> None:
    """The floor is only a small part of it ahead, and never beyond its end."""
    name = a_name()
    async with Desk(store, redis) as desk:
        uid = await desk.create(name, max_value=100_000)
        for _ in range(3):
            await desk.take(name, 10)
            await _flush(redis, uid)
        assert (await desk.take(name, 10)).position < 1_000
        while (tip := await desk.tip(uid)).position < 100_000:
            await desk.take(name, 100_000)
        await _flush(redis, uid)
        assert (await desk.tip(uid)).position == tip.position == 100_000


async def test_a_log_begun_before_a_loss_is_not_begun_after_it(
    url: str, redis: RedisClient, store: Store
) -> None:
    """A server that is slow between the database and Redis has lost its claim by then."""
    name, late = a_name(), Meddled(url, scripts.BEGIN)
    async with Desk(store, redis) as desk, Desk(store, late) as slow:
        uid = await desk.create(name)
        entries = [await desk.take(name)]
        await _flush(redis, uid)
        late.gate.clear()
        taking = asyncio.create_task(slow.take_many(name, 80))
        await late.reached.wait()
        entries += await desk.take_many(name, 80)
        await _flush(redis, uid)
        late.gate.set()
        entries += await taking
        entries += await slow.take_many(name, 16, STEP // 2)
    assert repeated(entries) == []


async def test_logs_move_while_servers_of_both_kinds_grant(
    redis: RedisClient, store: Store
) -> None:
    """From the database to Redis, back, and again: behind the floor each time it comes back."""
    name, entries = a_name(), []
    async with Desk(store) as home, Desk(store, redis) as away:
        uid = await home.create(name)
        for _ in range(3):
            entries += await home.take_many(name, 16)
            entries += await away.take_many(name, 16)
        entries += await home.take_many(name, 16)
        async with Desk(store) as cold:
            entries += await cold.take_many(name, 16)
            tip = await cold.tip(uid)
        found = await home.log.entries(uid, before=ABOVE_ALL, limit=999, only=ALL)
    assert repeated(entries) == []
    assert len({entry.number for entry in entries}) == len(entries)
    notes = [entry.note for entry in found if entry.note]
    assert notes.count("came back from Redis") == tip.epoch > 0, notes


async def test_a_log_that_moved_keeps_what_was_returned(redis: RedisClient, store: Store) -> None:
    """A planned move to Redis costs no ids."""
    name = a_name()
    async with Desk(store) as home, Desk(store, redis) as away:
        uid = await home.create(name)
        await home.give_back(name, await home.take(name), 40)
        again = await away.take(name, 60)
        assert (again.position, again.size, again.tip.epoch) == (40, 60, 0)
        assert (await away.take(name)).position == 100
        usage = await away.log.usage(uid, BEGIN - timedelta(days=999), datetime.now(UTC))
        assert usage["test"].granted - usage["test"].returned == 200


async def test_a_database_put_back_meets_the_log_in_redis(
    redis: RedisClient, store: Store, tmp_path: Path
) -> None:
    """It does not know that the log went to Redis; Redis does, and the sequence goes on there."""
    name, place = a_name(), SQLitePlace(tmp_path / "older")
    (tmp_path / "older").mkdir()
    async with Desk(store, redis) as desk, place.open() as older:
        await place.create(older, *METADATA.sorted_tables)
        await desk.create(name)
        entries = await desk.take_many(name, 80)
        async with Desk(older, redis) as late:
            await late.create(name)
            entries += await late.take_many(name, 80)
    assert repeated(entries) == []


async def test_an_append_whose_answer_is_lost_is_looked_for(url: str, store: Store) -> None:
    """It landed: the client gets its lease, and none is granted twice."""
    name, deaf = a_name(), Meddled(url, scripts.APPEND)
    async with Desk(store, deaf) as desk:
        await desk.create(name)
        entries = [await desk.take(name)]
        deaf.hears = False
        entries.append(await desk.take(name))
        deaf.hears = True
        entries.append(await desk.take(name))
    assert [entry.position for entry in entries] == [0, 100, 200]


async def test_a_redis_that_is_away_is_an_unavailable_store(store: Store) -> None:
    """Whether an append took place is not known."""
    async with RedisClient(f"redis://127.0.0.1:{free_port()}") as gone:
        log = Log(gone, store)
        await Desk(store).create(log.definition.name)
        with pytest.raises(StoreUnavailable):
            await log.tip()
        with pytest.raises(StoreUnavailable):
            await log.log.entry(log.uid, 1)


async def test_allocation_goes_on_when_redis_is_back(store: Store, tmp_path: Path) -> None:
    """Killed and started again on the same data: behind the floor, in a new epoch."""
    name = a_name()
    with Redis(tmp_path / "redis") as server:
        async with Desk(store, RedisClient(server.url, timeout_s=1.0)) as desk:
            uid = await desk.create(name)
            entries = await desk.take_many(name, 16)
            server.kill()
            with pytest.raises(StoreUnavailable):
                await desk.take(name)
            server.start()
            entries.append(await _patiently(desk, name))
            (fenced,) = await desk.log.entries(uid, before=ABOVE_ALL, limit=9, only=FENCES)
    assert repeated(entries) == []
    assert fenced.note == "redis restarted or failed over: went on from the floor"
    assert (fenced.position, fenced.stop) == (1_600, entries[-1].position), "the audit shows it"


async def _patiently(desk: Desk, name: str) -> Entry:
    async with asyncio.timeout(BOUND_S):
        while True:
            try:
                return await desk.take(name)
            except StoreUnavailable:
                await asyncio.sleep(0.05)
