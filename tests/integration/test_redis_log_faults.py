"""Redis loses what it acknowledged, or is two Redises: no id repeats, without any witness.

Every server that goes on is cold, has no journal and hears of no other.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from loadtests.servers import MariaDb, Redis
from mesh.redis import RedisClient
from mesh.storage import Store, StoreUnavailable
from sequencer.entry import Entry
from sequencer.store._floors import STEP
from sequencer.store._redis_entries import Keys
from sequencer.store._tables import METADATA
from tests.conformance.stores import STORES, MySQLPlace, SQLitePlace, place
from tests.fault.copies import put_back_server
from tests.integration.desks import BOUND_S, Desk, a_name, repeated

pytestmark = pytest.mark.real

SEEDS = 4
STEPS = 30
SIZES = (1, 100, STEP // 3)
AT_ONCE = ("--repl-diskless-sync-delay", "0")


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """The database of a sequencer."""
    where = place(request.param, request, tmp_path)
    async with where.open() as store:
        await where.create(store, *METADATA.sorted_tables)
        yield store


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Redis]:
    """A Redis that acknowledges before it has written anything down."""
    with Redis(tmp_path / "redis", "--appendfsync", "no", *AT_ONCE) as server:
        yield server


def at(server: Redis, store: Store) -> Desk:
    """A cold server of the sequencer."""
    return Desk(store, RedisClient(server.url, timeout_s=5.0))


async def test_a_lost_end_of_the_log_repeats_no_id(
    store: Store, server: Redis, tmp_path: Path
) -> None:
    """Killed, and started on an older copy of its file, whose tip an idle server still knows."""
    name = a_name()
    async with at(server, store) as idle:
        uid = await idle.create(name)
        entries = await idle.take_many(name, 80)
        shutil.copytree(server.folder, tmp_path / "copy")
        async with at(server, store) as busy:
            entries += await busy.take_many(name, 400)
            server.kill()
        put_back_server(tmp_path / "copy", server)
        assert server.command("hget", Keys(uid).tip, "position") == "8000", "it went back"
        entries += await idle.take_many(name, 80)
    async with at(server, store) as cold:
        entries += await cold.take_many(name, 80)
    assert repeated(entries) == []
    assert len({entry.number for entry in entries}) == len(entries)
    assert entries[-1].tip.epoch == entries[0].tip.epoch + 1


async def test_an_emptied_redis_repeats_no_id(store: Store, server: Redis) -> None:
    """FLUSHALL, while two servers grant."""
    name = a_name()
    async with at(server, store) as one, at(server, store) as two:
        await one.create(name)
        taking = [asyncio.create_task(desk.take_many(name, 400)) for desk in (one, two)]
        for _ in range(3):
            await asyncio.sleep(0)
            server.command("flushall")
        entries = [entry for found in await asyncio.gather(*taking) for entry in found]
    async with at(server, store) as cold:
        entries += await cold.take_many(name, 80)
    assert repeated(entries) == []


async def test_a_promoted_replica_that_lags_repeats_no_id(
    store: Store, server: Redis, tmp_path: Path
) -> None:
    """Nor does the old master that goes on for a while: it ends at the floor that it had."""
    name = a_name()
    with _replica_of(server, tmp_path / "replica") as replica:
        async with at(server, store) as desk:
            uid = await desk.create(name)
            entries = await desk.take_many(name, 80)
            await _until_replicated(replica, uid, "8000")
            replica.command("replicaof", "no", "one")
            entries += await desk.take_many(name, 80)
            async with at(replica, store) as promoted:
                for size in (100, STEP // 2, STEP, STEP):
                    found = await asyncio.gather(
                        desk.take_many(name, 16, size), promoted.take_many(name, 16, size)
                    )
                    entries += [entry for some in found for entry in some]
    assert repeated(entries) == []


async def test_a_master_that_comes_back_from_being_a_replica_is_not_what_it_was(
    store: Store, server: Redis, tmp_path: Path
) -> None:
    """The same process with the same run id, but with the data of a replica that lagged."""
    name = a_name()
    with _replica_of(server, tmp_path / "replica") as replica:
        async with at(server, store) as desk:
            uid = await desk.create(name)
            entries = await desk.take_many(name, 80)
            await _until_replicated(replica, uid, "8000")
            replica.command("replicaof", "no", "one")
            entries += await desk.take_many(name, 80)
            server.command("replicaof", "127.0.0.1", str(replica.port))
            await _until_replicated(server, uid, "8000")
            server.command("replicaof", "no", "one")
        async with at(server, store) as cold:
            entries += await cold.take_many(name, 80)
    assert repeated(entries) == []


def _replica_of(server: Redis, folder: Path) -> Redis:
    return Redis(folder, "--replicaof", "127.0.0.1", str(server.port), *AT_ONCE)


async def _until_replicated(server: Redis, uid: int, position: str) -> None:
    async with asyncio.timeout(BOUND_S):
        while server.command("hget", Keys(uid).tip, "position") != position:
            await asyncio.to_thread(server.command, "ping")


async def test_the_database_may_be_away_for_half_a_step(server: Redis, tmp_path: Path) -> None:
    """Redis goes on; what would reach beyond the floor waits for the database."""
    name = a_name()
    with MariaDb(tmp_path / "db") as database:
        where = MySQLPlace(database)
        async with where.open() as store, at(server, store) as desk:
            await where.create(store, *METADATA.sorted_tables)
            await desk.create(name)
            entries = [await desk.take(name)]
            database.kill()
            entries += await desk.take_many(name, 80, STEP // 200)
            with pytest.raises(StoreUnavailable):
                await desk.take(name, STEP)
            database.start()
            entries += [await desk.take(name, STEP)]
    assert repeated(entries) == []


async def test_a_frozen_redis_repeats_no_id(store: Store, server: Redis) -> None:
    """What was sent to it lands when it wakes up, after servers have given it up."""
    name = a_name()
    hasty = [Desk(store, RedisClient(server.url, timeout_s=0.05)) for _ in range(2)]
    entries: list[Entry] = []
    async with hasty[0] as one, hasty[1] as two:
        await one.create(name)
        for _ in range(5):
            entries += await _whatever(one, two, name)
            server.pause()
            assert await _whatever(one, two, name) == []
            server.resume()
            await _until_available(one, name, entries)
    async with at(server, store) as cold:
        entries += await cold.take_many(name, 80)
    assert repeated(entries) == []


async def _whatever(one: Desk, two: Desk, name: str) -> list[Entry]:
    """The leases of two servers, of several clients each, as far as there were any."""
    takes = [desk.take(name, client=f"c{n}") for n in range(8) for desk in (one, two)]
    found = await asyncio.gather(*takes, return_exceptions=True)
    refused = [one for one in found if isinstance(one, BaseException)]
    assert all(isinstance(one, StoreUnavailable) for one in refused), refused
    return [one for one in found if isinstance(one, Entry)]


async def _until_available(desk: Desk, name: str, entries: list[Entry]) -> None:
    async with asyncio.timeout(BOUND_S):
        while True:
            with suppress(StoreUnavailable):
                entries.append(await desk.take(name))
                return
            await asyncio.sleep(0.01)  # the client lets a command through now and then


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_whatever_becomes_of_redis_no_id_repeats(
    tmp_path: Path, server: Redis, seed: int
) -> None:
    """Losses, older copies, and servers of either setting, in any order."""
    where, copy, chance = SQLitePlace(tmp_path), tmp_path / "copy", Random(seed)
    name, entries = a_name(), list[Entry]()
    async with where.open() as store:
        await where.create(store, *METADATA.sorted_tables)
        async with Desk(store) as home:
            await home.create(name)
        shutil.copytree(server.folder, copy)
        for _ in range(STEPS):
            match chance.choice(["away", "away", "both", "home", "flush", "copy", "put back"]):
                case "away":
                    async with at(server, store) as one:
                        entries += await one.take_many(name, 8, chance.choice(SIZES))
                case "both":
                    async with at(server, store) as one, at(server, store) as two:
                        taking = [desk.take_many(name, 32) for desk in (one, two, one)]
                        for some in await asyncio.gather(*taking):
                            entries += some
                case "home":
                    async with Desk(store) as home:
                        entries += await home.take_many(name, 8, chance.choice(SIZES))
                case "flush":
                    server.command("flushall")
                case "copy":
                    shutil.rmtree(copy)
                    shutil.copytree(server.folder, copy)
                case "put back":
                    server.kill()
                    put_back_server(copy, server)
    assert repeated(entries) == []
    assert len({entry.number for entry in entries}) == len(entries)
