"""What keeps the registry's table: in memory and in Redis the same holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from loadtests.servers import Redis
from mesh.clock import ManualClock
from mesh.errors import MeshError, MeshReason
from mesh.redis import RedisClient
from mesh.registry import DirectoryRegistry, HeaderRule, Route, Split, State
from mesh.registry.errors import RegistryReason
from mesh.registry.leases import PATIENCE
from mesh.registry.memory import MemoryTable
from mesh.registry.shared import SharedTable
from mesh.registry.table import Table
from tests.unit.mesh.registry.entries import entry

LEASE_S = 10
KEY = ("customer", "a")
CANARY = Route(
    service="customer",
    rules=(HeaderRule(header="x-canary", value="1", version="2"),),
    splits=(Split(version="1", weight=95), Split(version="2", weight=5)),
)


class InMemory:
    """A registry of one process; its clock moves when it is told to."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.table = Table()
        self.source = MemoryTable(self.table, self.clock, LEASE_S, DirectoryRegistry(folder))

    async def look(self) -> None:
        self.source.look()

    async def pass_time(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1)
            self.source.look()


class InRedis:
    """One of several processes of a registry. Time passes by bringing ends nearer."""

    def __init__(self, redis: RedisClient, prefix: str) -> None:
        self.redis, self.prefix = redis, prefix
        self.table = Table()
        self.source = SharedTable(self.table, redis, LEASE_S, prefix)

    async def look(self) -> None:
        await self.source.look()

    async def pass_time(self, seconds: int) -> None:
        due, meta, ms = f"{self.prefix}:due", f"{self.prefix}:meta", seconds * 1_000
        if await self.redis.execute("HEXISTS", meta, "heard"):
            await self.redis.execute("HINCRBY", meta, "heard", -ms)
        for name in await self.redis.execute("ZRANGE", due, 0, -1):
            await self.redis.execute("ZINCRBY", due, -ms, name)
        self.source._settles_ms -= ms
        await self.source.look()

    async def stand_still(self, seconds: int) -> None:
        """Time passes in which no registry looks."""
        ms = seconds * 1_000
        await self.redis.execute("HINCRBY", f"{self.prefix}:meta", "looked", -ms)
        await self.pass_time(seconds)


Kept = InMemory | InRedis


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.real)])
async def kept(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kept]:
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            found: Kept = InMemory(tmp_path)
        else:
            server: Redis = request.getfixturevalue("redis_server")
            redis = await stack.enter_async_context(RedisClient(server.url, timeout_s=5))
            found = InRedis(redis, f"test:{{{uuid4().hex}}}")
        await found.look()
        yield found


@pytest.fixture
async def pair(redis_server: Redis) -> AsyncIterator[tuple[InRedis, InRedis]]:
    """Two processes of one registry."""
    prefix = f"test:{{{uuid4().hex}}}"
    async with RedisClient(redis_server.url, timeout_s=5) as redis:
        yield InRedis(redis, prefix), InRedis(redis, prefix)


async def test_what_is_registered_is_there_until_its_lease_runs_out(kept: Kept) -> None:
    """Renewing it keeps it; silence does not, while others are heard."""
    lease_id = await kept.source.register(entry())
    other = await kept.source.register(entry("action"))
    await kept.look()
    for seconds in (4, 4, 4, 4):
        assert kept.table.of("customer") == (entry(),)
        await kept.pass_time(seconds)
        assert await kept.source.renew(KEY, lease_id, 0)
        assert await kept.source.renew(("action", "a"), other, 0)
    for seconds in (4, 4, 3):
        assert kept.table.of("customer") == (entry(),)
        assert await kept.source.renew(("action", "a"), other, 0)
        await kept.pass_time(seconds)
    assert kept.table.of("customer") == ()
    assert not await kept.source.renew(KEY, lease_id, 0)


async def test_a_registry_that_hears_nobody_takes_nobody_out(kept: Kept) -> None:
    """It is cut off; once somebody is heard, all have a whole lease to come back."""
    await kept.source.register(entry())
    other = await kept.source.register(entry("action"))
    await kept.pass_time(2 * LEASE_S)
    assert kept.table.size == 2
    for seconds in (4, 4):
        assert await kept.source.renew(("action", "a"), other, 0)
        await kept.pass_time(seconds)
        assert kept.table.size == 2
    assert await kept.source.renew(("action", "a"), other, 0)
    await kept.pass_time(4)
    assert kept.table.of("customer") == ()


async def test_a_registry_that_hears_nobody_for_long_takes_all_out(kept: Kept) -> None:
    """After some leases; nobody is left who would miss them."""
    await kept.source.register(entry())
    await kept.pass_time(int(PATIENCE * LEASE_S) - 1)
    assert kept.table.size == 1
    await kept.pass_time(1)
    assert kept.table.size == 0


async def test_a_lease_that_nobody_gave_is_not_known(kept: Kept) -> None:
    """Neither of an instance that is there nor of one that is not."""
    await kept.source.register(entry())
    await kept.look()
    guessed = "0" * 32
    assert not await kept.source.renew(KEY, guessed, 0)
    assert not await kept.source.drain(KEY, guessed)
    assert not await kept.source.drain(("customer", "b"), guessed)
    await kept.source.withdraw(KEY, guessed)
    await kept.look()
    assert kept.table.of("customer") == (entry(),)


async def test_registering_again_replaces_entry_and_lease(kept: Kept) -> None:
    """The lease from before cannot take out what came after it."""
    first = await kept.source.register(entry())
    second = await kept.source.register(entry(version="2"))
    await kept.source.withdraw(KEY, first)
    await kept.look()
    assert kept.table.of("customer") == (entry(version="2"),)
    assert await kept.source.renew(KEY, second, 0)


async def test_a_load_that_has_moved_is_in_the_table(kept: Kept) -> None:
    """It comes with a renewal."""
    lease_id = await kept.source.register(entry())
    await kept.look()
    assert await kept.source.renew(KEY, lease_id, 0.5)
    await kept.look()
    assert kept.table.of("customer") == (entry(load=0.5),)


async def test_one_that_drains_stays_and_says_so(kept: Kept) -> None:
    """Also right after it has registered."""
    lease_id = await kept.source.register(entry())
    assert await kept.source.drain(KEY, lease_id)
    await kept.look()
    assert kept.table.of("customer") == (entry(state=State.DRAINING),)


async def test_one_that_withdraws_is_gone_at_once(kept: Kept) -> None:
    """A second time does nothing."""
    lease_id = await kept.source.register(entry())
    await kept.source.withdraw(KEY, lease_id)
    await kept.source.withdraw(KEY, lease_id)
    await kept.look()
    assert kept.table.snapshot().entries == {}


async def test_a_route_is_set_replaced_and_removed(kept: Kept) -> None:
    """It needs no instance, and no lease."""
    await kept.source.set_route(CANARY)
    await kept.pass_time(2 * LEASE_S)
    assert kept.table.route("customer") == CANARY
    await kept.source.set_route(Route(service="customer"))
    await kept.look()
    assert kept.table.snapshot().routes == {}


async def test_a_table_that_has_just_begun_is_settled_after_a_lease(kept: Kept) -> None:
    """By then all that live have been heard of."""
    assert not kept.table.is_settled
    await kept.pass_time(LEASE_S - 1)
    assert not kept.table.is_settled
    await kept.pass_time(2)
    assert kept.table.is_settled


async def test_no_more_instances_are_taken_than_there_may_be(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that are there may go on registering."""
    for module in ("memory", "shared"):
        monkeypatch.setattr(f"mesh.registry.{module}.MAX_ENTRIES", 1)
    await kept.source.register(entry())
    await kept.source.register(entry(version="2"))
    with pytest.raises(MeshError) as error:
        await kept.source.register(entry(instance="b"))
    assert error.value.reason is RegistryReason.TABLE_FULL


async def test_routes_outlive_the_process_in_a_folder(tmp_path: Path) -> None:
    """A canary must not end because the registry was restarted."""
    await InMemory(tmp_path).source.set_route(CANARY)
    assert InMemory(tmp_path).table.route("customer") == CANARY


@pytest.mark.real
async def test_processes_that_share_redis_have_one_table(pair: tuple[InRedis, InRedis]) -> None:
    """A lease that one of them gave is known to the other."""
    one, other = pair
    lease_id = await one.source.register(entry())
    await one.source.set_route(CANARY)
    await other.look()
    assert other.table.of("customer") == (entry(),)
    assert other.table.route("customer") == CANARY
    assert await other.source.renew(KEY, lease_id, 0)
    await other.source.withdraw(KEY, lease_id)
    await one.look()
    assert one.table.of("customer") == ()


@pytest.mark.real
async def test_what_one_process_writes_reaches_the_watchers_of_the_other(
    pair: tuple[InRedis, InRedis],
) -> None:
    """By itself: nobody asks it to look."""
    one, other = pair
    async with one.source, other.source:
        with other.table.watch(["customer"]) as watcher:
            lease_id = await one.source.register(entry())
            while (change := await watcher.next(30)) is None or not change.entries:
                pass
            assert change.entries == (entry(),)
            await one.source.withdraw(KEY, lease_id)
            while (change := await watcher.next(30)) is None or not change.left:
                pass
            assert change.left == (KEY,)


@pytest.mark.real
async def test_a_redis_that_was_wiped_takes_nobody_out_who_comes_back(
    pair: tuple[InRedis, InRedis],
) -> None:
    """Until a lease has passed what was known stays; then those who did not return are gone."""
    one, _ = pair
    lease_id = await one.source.register(entry())
    await one.source.register(entry(instance="dead"))
    await one.source.set_route(CANARY)
    await one.look()
    one.source._settles_ms = 0  # as if a lease had passed
    await one.look()
    assert one.table.is_settled
    await one.redis.execute("DEL", *one.source._keys)
    await one.look()
    assert not one.table.is_settled
    assert one.table.of("customer") == (entry(), entry(instance="dead"))
    assert not await one.source.renew(KEY, lease_id, 0)
    await one.source.register(entry())
    await one.look()
    assert one.table.of("customer") == (entry(), entry(instance="dead"))
    assert one.table.route("customer") == CANARY
    one.source._settles_ms = 0  # as if a lease had passed
    await one.look()
    assert one.table.is_settled
    assert one.table.of("customer") == (entry(),)


@pytest.mark.real
async def test_registries_that_stood_still_together_take_nobody_out_for_it(
    pair: tuple[InRedis, InRedis],
) -> None:
    """Nobody could renew while there was none to renew with."""
    one, _ = pair
    await one.source.register(entry())
    await one.look()
    await one.stand_still(int(2 * PATIENCE * LEASE_S))
    assert one.table.of("customer") == (entry(),)
    await one.pass_time(int(PATIENCE * LEASE_S))
    assert one.table.of("customer") == ()


@pytest.mark.real
async def test_without_redis_the_table_stays_as_it_was(var: Path) -> None:
    """Who wants to register is told to come again; once Redis is back, all goes on."""
    with Redis(var / "redis") as server:
        async with RedisClient(server.url, timeout_s=2) as redis:
            kept = InRedis(redis, "test:{gone}")
            async with kept.source:
                with kept.table.watch() as watcher:
                    await kept.source.register(entry())
                    while (change := await watcher.next(30)) is None or not change.entries:
                        pass
                    server.kill()
                    with pytest.raises(MeshError) as error:
                        await kept.source.register(entry(instance="b"))
                    assert error.value.reason is MeshReason.UNAVAILABLE
                    assert kept.table.of("customer") == (entry(),)
                    server.start()
                    while True:
                        try:
                            await kept.source.register(entry(instance="b"))
                            break
                        except MeshError:
                            await watcher.next(0.05)
                    while entry(instance="b") not in kept.table.of("customer"):
                        await watcher.next(30)
