"""Examines Redis: each of its masters."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from cli.checkup.clocks import compared
from cli.checkup.finding import Finding, fail, graded, ok
from mesh.redis import RedisClient, RedisRefused, open_redis
from mesh.settings import Settings

OLDEST: Final = (7, 0)


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Ask every master; changes nothing."""
    async with AsyncExitStack() as stack:
        redis = open_redis(settings)
        assert redis is not None
        await stack.enter_async_context(redis)
        url = urlsplit(settings.redis_url)
        if not url.scheme.endswith("+cluster"):
            async for finding in _node("redis", redis, settings):
                yield finding
            return
        for finding in _cluster(_fields(await redis.execute("CLUSTER", "INFO"))):
            yield finding
        scheme = url.scheme.removesuffix("+cluster")
        who, at, _ = url.netloc.rpartition("@")
        for host in _masters(await redis.execute("CLUSTER", "NODES")):
            one = replace(settings, redis_url=f"{scheme}://{who}{at}{host}")
            node = open_redis(one)
            assert node is not None
            await stack.enter_async_context(node)
            async for finding in _node(f"redis {host}", node, settings):
                yield finding


async def _node(name: str, redis: RedisClient, settings: Settings) -> AsyncIterator[Finding]:
    info = _fields(await redis.execute("INFO"))
    yield ok(name, f"answers, {info.get('role', '')}")
    asked = time.time()
    seconds, micros = await redis.execute("TIME")
    yield compared(f"{name} clock", int(seconds) + int(micros) / 1e6, asked)
    carries = settings.bus == "redis"
    keeps_logs = settings.sequencer_log == "redis"
    for finding in _server(name, info, keeps=carries or keeps_logs):
        yield finding
    yield await _sync(name, redis, carries_events=carries)
    if keeps_logs:
        yield await _life(name, redis)


async def _sync(name: str, redis: RedisClient, *, carries_events: bool) -> Finding:
    try:
        _, found = await redis.execute("CONFIG", "GET", "appendfsync")
    except (RedisRefused, ValueError):
        found = b"not told"
    return graded(
        f"{name} sync",
        f"appendfsync is {found.decode()}",
        "Set appendfsync always: otherwise events that it took are lost when it is killed.",
        bad=False,
        worse=carries_events and found != b"always",
    )


async def _life(name: str, redis: RedisClient) -> Finding:
    """Whether scripts may ask which life of the server it is, as logs of sequences need it."""
    try:
        await redis.execute("EVAL", "return redis.call('INFO', 'server', 'replication')", 0)
    except RedisRefused as error:
        advice = "Allow the user INFO within scripts: ACL SETUSER NAME +info."
        return fail(f"{name} sequences", f"INFO in a script: {error.code}", advice)
    return ok(f"{name} sequences", "it keeps their logs, above a floor in the database")


def _server(name: str, info: Mapping[str, str], *, keeps: bool) -> Iterator[Finding]:
    version = info.get("redis_version", "0.0")
    major, minor, *_ = map(int, version.split("."))
    oldest = ".".join(map(str, OLDEST))
    yield graded(
        f"{name} version",
        version,
        f"Use Redis {oldest} or newer.",
        bad=False,
        worse=(major, minor) < OLDEST,
    )
    yield graded(
        f"{name} durability",
        f"appendonly is {'yes' if info.get('aof_enabled') == '1' else 'no'}",
        "Set appendonly yes: events, and who got which ids, are lost when it ends otherwise.",
        bad=False,
        worse=keeps and info.get("aof_enabled") != "1",
    )
    policy = info.get("maxmemory_policy", "")
    yield graded(
        f"{name} eviction",
        f"maxmemory-policy is {policy}",
        "Set maxmemory-policy noeviction: events and logs must not be dropped to make room.",
        bad=policy != "noeviction",
        worse=keeps and policy != "noeviction",
    )
    if info.get("role") != "master":
        yield fail(f"{name} role", str(info.get("role")), "ENGINE_REDIS_URL must name a master.")


def _cluster(info: Mapping[str, str]) -> Iterator[Finding]:
    state, slots = info.get("cluster_state", ""), info.get("cluster_slots_ok", "0")
    yield graded(
        "redis cluster",
        f"state {state}, {slots} of 16384 slots served",
        "Let 'redis-cli --cluster check HOST:PORT' say which node is missing.",
        bad=False,
        worse=state != "ok" or slots != "16384",
    )


def _fields(answer: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in answer.decode().splitlines())
    return {name: value for name, colon, value in lines if colon}


def _masters(answer: bytes) -> list[str]:
    """The addresses of the masters in an answer to CLUSTER NODES."""
    rows = (line.split() for line in answer.decode().splitlines())
    return sorted(row[1].partition("@")[0] for row in rows if "master" in row[2])
