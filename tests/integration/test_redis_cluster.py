"""The client against a real Redis Cluster: slots that move, nodes that go and come back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.crc import key_slot

from loadtests.servers import Redis, RedisCluster, free_port
from mesh.redis import RedisClient, RedisRefused, RedisUnavailable

pytestmark = pytest.mark.real

KEYS = [f"engine:{{{number}}}:k" for number in range(60)]


@pytest.fixture
def cluster(var: Path) -> Iterator[RedisCluster]:
    """One that a test may break."""
    with RedisCluster(var / "cluster") as cluster:
        yield cluster


def client(cluster: RedisCluster) -> RedisClient:
    return RedisClient(cluster.url, timeout_s=5)


async def test_each_command_goes_to_the_node_of_its_key(redis_cluster: RedisCluster) -> None:
    """Scripts and blocking commands as well."""
    async with client(redis_cluster) as redis, redis.blocking() as blocking:
        script = redis.script("return redis.call('GET', KEYS[1])")
        for number, key in enumerate(KEYS):
            await redis.execute("SET", key, number)
            assert await script(keys=[key]) == str(number).encode()
            assert await blocking.execute("GET", key) == str(number).encode()
        assert await redis.execute("PING") == b"PONG"


async def test_keys_of_different_slots_are_refused_in_one_command(
    redis_cluster: RedisCluster,
) -> None:
    """Keys are named so that this does not happen."""
    async with client(redis_cluster) as redis:
        with pytest.raises(RedisRefused) as caught:
            await redis.execute("MGET", *KEYS[:2])
        assert caught.value.code == "CROSSSLOT"


async def test_a_slot_on_the_move_is_followed_to_where_its_key_is(cluster: RedisCluster) -> None:
    """Asked for on many connections at once, before, during and after the move."""
    key = KEYS[0]
    slot = str(key_slot(key.encode()))
    source = next(node for node in cluster.nodes if _holds(node, key))
    target = next(node for node in cluster.nodes if node is not source)
    async with client(cluster) as redis, redis.blocking() as blocking:
        await redis.execute("SET", key, "v")
        await blocking.execute("GET", key)
        await asyncio.gather(*(redis.execute("PING") for _ in range(20)))
        target.command("cluster", "setslot", slot, "importing", _id(source))
        source.command("cluster", "setslot", slot, "migrating", _id(target))
        assert await redis.execute("GET", key) == b"v"
        source.command("migrate", "127.0.0.1", str(target.port), key, "0", "5000")
        assert await _all(redis, key) == {b"v"}  # each is sent on by ASK
        with pytest.raises(RedisUnavailable, match="moved"):
            await blocking.execute("GET", key)
        for node in (target, source):
            node.command("cluster", "setslot", slot, "node", _id(target))
        assert await _all(redis, key) == {b"v"}  # the first are sent on by MOVED
        assert await blocking.execute("GET", key) == b"v"


async def test_a_dead_node_takes_only_its_own_keys_along_and_comes_back_by_itself(
    cluster: RedisCluster,
) -> None:
    """The others are answered all the while."""
    async with RedisClient(cluster.url, timeout_s=0.5) as redis:
        for key in KEYS:
            await redis.execute("SET", key, "v")
        dead = cluster.nodes[0]
        lost = {key for key in KEYS if _holds(dead, key)}
        dead.kill()
        for _ in range(2):
            assert await _missing(redis) == lost
        dead.start()
        await _complete(redis)
        assert redis.available


async def test_a_replica_that_takes_over_is_found_and_its_master_forgotten(
    cluster: RedisCluster, var: Path
) -> None:
    """What the replica had is there again, without hands."""
    master = next(node for node in cluster.nodes if _holds(node, KEYS[0]))
    options = [*("--cluster-enabled", "yes"), *("--cluster-node-timeout", "500")]
    options += ["--cluster-port", str(free_port())]
    for node in cluster.nodes:
        node.command("config", "set", "cluster-node-timeout", "500")
    with Redis(var / "replica", *options) as replica:
        await _follow(replica, master)
        seeds = ",".join(f"127.0.0.1:{node.port}" for node in cluster.nodes if node is not master)
        async with RedisClient(f"redis+cluster://{seeds}", timeout_s=0.5) as redis:
            for key in KEYS:
                await redis.execute("SET", key, "v")
            assert master.command("wait", "1", "5000") == "1"
            master.kill()
            await _complete(redis)
            assert redis.available
            assert await redis.execute("GET", KEYS[0]) == b"v"


async def _follow(replica: Redis, master: Redis) -> None:
    """Make it the replica of a master of the cluster, with all that it holds."""
    bus = master.command("config", "get", "cluster-port").split()[-1]
    replica.command("cluster", "meet", "127.0.0.1", str(master.port), bus)
    await _says(replica, "OK", "cluster", "replicate", _id(master))
    await _says(replica, "master_link_status:up", "info", "replication")
    await _says(replica, "cluster_state:ok", "cluster", "info")


async def _says(node: Redis, expected: str, *words: str) -> None:
    async with asyncio.timeout(30):
        while expected not in node.command(*words):  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.05)


async def test_a_cluster_is_found_by_any_of_its_seeds(cluster: RedisCluster) -> None:
    """Also when the first one is away from the beginning; its keys are."""
    cluster.nodes[0].kill()
    async with client(cluster) as redis:
        missing = await _missing(redis)
        assert 0 < len(missing) < len(KEYS)


async def test_a_cluster_that_is_wholly_away_is_unavailable(cluster: RedisCluster) -> None:
    """And back by itself."""
    async with client(cluster) as redis:
        for node in cluster.nodes:
            node.kill()
        with pytest.raises(RedisUnavailable):
            await redis.execute("GET", KEYS[0])
        for node in cluster.nodes:
            node.start()
        await _complete(redis)


async def _all(redis: RedisClient, key: str) -> set[bytes]:
    return set(await asyncio.gather(*(redis.execute("GET", key) for _ in range(100))))


async def _missing(redis: RedisClient) -> set[str]:
    missing = set()
    for key in KEYS:
        try:
            await redis.execute("GET", key)
        except RedisUnavailable:
            missing.add(key)
    return missing


async def _complete(redis: RedisClient) -> None:
    async with asyncio.timeout(30):
        while await _missing(redis):  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.02)


def _holds(node: Redis, key: str) -> bool:
    return "MOVED" not in node.command("get", key)


def _id(node: Redis) -> str:
    return node.command("cluster", "myid")
