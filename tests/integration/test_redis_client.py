"""The client against a real Redis."""

from __future__ import annotations

import asyncio
import random
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from loadtests.servers import Redis, free_port
from mesh.redis import RedisClient, RedisRefused, RedisUnavailable
from mesh.telemetry import Meters

pytestmark = pytest.mark.real

ECHO = "return {KEYS[1], ARGV[1]}"


@pytest.fixture
async def redis(redis_server: Redis) -> AsyncIterator[RedisClient]:
    async with RedisClient(redis_server.url, timeout_s=5, connections=8) as redis:
        yield redis


@pytest.fixture
def key() -> str:
    return f"engine:{{{uuid4().hex}}}:k"


async def test_bytes_go_in_and_come_out(redis: RedisClient, key: str) -> None:
    """Texts and numbers go in as bytes; a miss is None."""
    assert await redis.execute("GET", key) is None
    assert await redis.execute("SET", key, b"\x00\r\n\xff") == b"OK"
    assert await redis.execute("GET", key) == b"\x00\r\n\xff"
    await redis.execute("SET", key, 7)
    assert await redis.execute("INCR", key) == 8


async def test_a_wrong_command_is_refused_and_its_connection_goes_on(
    redis: RedisClient, key: str
) -> None:
    """The code says why."""
    await redis.execute("SET", key, "text")
    with pytest.raises(RedisRefused) as caught:
        await redis.execute("LPUSH", key, "x")
    assert caught.value.code == "WRONGTYPE"
    assert await redis.execute("GET", key) == b"text"
    assert redis.available


@pytest.mark.parametrize("seed", range(3))
async def test_a_cancelled_command_leaves_no_answer_for_the_next_one(
    redis: RedisClient, key: str, seed: int
) -> None:
    """A thousand commands, each third cancelled at a random moment: no wrong answer."""
    chance = random.Random(seed)
    for number in range(50):
        await redis.execute("SET", f"{key}{number}", f"value {number}")

    async def ask(number: int) -> bool:
        return bool(await redis.execute("GET", f"{key}{number}") == f"value {number}".encode())

    right = 0
    for _ in range(50):
        tasks = [asyncio.create_task(ask(number)) for number in chance.choices(range(50), k=20)]
        for task in chance.sample(tasks, k=7):
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        answers = [answer for answer in ended if not isinstance(answer, asyncio.CancelledError)]
        assert all(answer is True for answer in answers)
        right += len(answers)
    assert right >= 50 * 13


async def test_a_script_is_loaded_when_the_server_does_not_have_it(
    redis: RedisClient, redis_server: Redis, key: str
) -> None:
    """Also after the server has forgotten it."""
    script = redis.script(ECHO)
    assert await script(keys=[key], args=["a"]) == [key.encode(), b"a"]
    redis_server.command("script", "flush")
    assert await script(keys=[key], args=["b"]) == [key.encode(), b"b"]


async def test_an_error_of_a_script_is_refused(redis: RedisClient, key: str) -> None:
    """It is not taken for a missing script."""
    with pytest.raises(RedisRefused):
        await redis.script("return redis.call('LPUSH', KEYS[1])")(keys=[key])


async def test_commands_share_a_bounded_number_of_connections(redis_server: Redis) -> None:
    """Those that find none wait for one."""
    async with RedisClient(redis_server.url, timeout_s=5, connections=3) as redis:
        before = await _connections(redis)
        await asyncio.gather(*(redis.execute("PING") for _ in range(100)))
        assert await _connections(redis) <= before + 2


async def _connections(redis: RedisClient) -> int:
    info: bytes = await redis.execute("INFO", "clients")
    return int(info.split(b"connected_clients:")[1].split(b"\r\n")[0])


async def test_who_finds_no_free_connection_in_time_is_told_so(redis_server: Redis) -> None:
    """Which says nothing about the server."""
    async with RedisClient(redis_server.url, timeout_s=0.05, connections=1) as redis:
        busy = asyncio.create_task(redis.execute("BLPOP", f"engine:{uuid4()}", 0, timeout_s=5))
        await asyncio.sleep(0)
        with pytest.raises(RedisUnavailable, match="busy"):
            await redis.execute("PING")
        assert redis.available
        busy.cancel()
        await asyncio.wait([busy])
        assert await redis.execute("PING", timeout_s=5) == b"PONG"


async def test_a_command_that_blocks_has_a_connection_of_its_own(
    redis_server: Redis, key: str
) -> None:
    """The pool of one stays free, and what was given up is forgotten."""
    async with (
        RedisClient(redis_server.url, timeout_s=5, connections=1) as redis,
        redis.blocking() as blocking,
    ):
        with pytest.raises(RedisUnavailable):
            await blocking.execute("BLPOP", key, 0, timeout_s=0.05)
        await _recovered(redis)
        waiting = asyncio.create_task(blocking.execute("BLPOP", key, 0, timeout_s=5))
        assert await redis.execute("RPUSH", key, "x") == 1
        assert await waiting == [key.encode(), b"x"]


async def _recovered(redis: RedisClient) -> None:
    """Poll until a command is answered."""
    async with asyncio.timeout(30):
        while True:
            try:
                await redis.execute("PING")
            except RedisUnavailable:
                await asyncio.sleep(0.01)
            else:
                return


async def test_a_password_is_asked_for_and_kept_to_ourselves(
    var: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A wrong one is an outage; neither is in the log or the error."""
    with Redis(var / "redis") as server:
        server.command("config", "set", "requirepass", "right-one")
        async with RedisClient(server.url, password="right-one", timeout_s=5) as redis:
            assert await redis.execute("PING") == b"PONG"
        async with RedisClient(server.url, password="wrong-one", timeout_s=5) as redis:
            with pytest.raises(RedisUnavailable) as caught:
                await redis.execute("PING")
        assert "-one" not in str(caught.value) + caplog.text


async def test_over_tls_only_a_server_with_a_trusted_certificate_is_talked_to(var: Path) -> None:
    """By a CA of one's own, or those of the system."""
    _certificate(var)
    port = free_port()
    files = [*("--tls-cert-file", str(var / "cert.pem")), *("--tls-key-file", str(var / "key.pem"))]
    options = [*("--tls-port", str(port)), *files, *("--tls-auth-clients", "no")]
    with Redis(var / "redis", *options):
        async with RedisClient(f"rediss://127.0.0.1:{port}?ca={var / 'cert.pem'}") as redis:
            assert await redis.execute("PING", timeout_s=5) == b"PONG"
        async with RedisClient(f"rediss://127.0.0.1:{port}") as redis:
            with pytest.raises(RedisUnavailable):
                await redis.execute("PING", timeout_s=5)


def _certificate(folder: Path) -> None:
    """One that vouches for itself."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *(
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=redis",
                "-addext",
                "subjectAltName=IP:127.0.0.1",
            ),
            *("-keyout", folder / "key.pem", "-out", folder / "cert.pem"),
        ],
        check=True,
        capture_output=True,
    )


@pytest.mark.parametrize("fault", ["kill", "pause"])
async def test_a_dead_server_costs_one_wait_and_comes_back_by_itself(var: Path, fault: str) -> None:
    """Thousands of commands fail without being sent, and the first that may try finds it again."""
    meters = Meters()
    with Redis(var / "redis") as server:
        async with RedisClient(server.url, timeout_s=0.2, meters=meters) as redis:
            script = redis.script(ECHO)
            await script(keys=["k"], args=["a"])
            getattr(server, fault)()
            failed = 0
            for _ in range(2_000):
                try:
                    await redis.execute("GET", "k")
                except RedisUnavailable:
                    failed += 1
            sent = meters.counter("redis.commands").value
            assert failed == 2_000
            assert sent < 100
            assert not redis.available
            assert meters.gauges["redis.unavailable_s"]() > 0
            server.start() if fault == "kill" else server.resume()
            await _recovered(redis)
            assert await script(keys=["k"], args=["b"]) == [b"k", b"b"]
            assert redis.available


async def test_connections_that_the_server_closed_while_idle_are_not_used(var: Path) -> None:
    """A restart between two commands is not noticed."""
    with Redis(var / "redis") as server:
        async with RedisClient(server.url, timeout_s=5) as redis:
            await asyncio.gather(*(redis.execute("PING") for _ in range(4)))
            server.restart()
            for _ in range(3):
                await asyncio.sleep(0)  # the loop hears of the closed connections
            for _ in range(4):
                assert await redis.execute("PING") == b"PONG"


async def test_a_server_that_loads_its_data_or_is_full_is_unavailable(var: Path) -> None:
    """It is said again later, and others are asked meanwhile: reads go on."""
    with Redis(var / "redis", "--maxmemory-policy", "noeviction") as server:
        async with RedisClient(server.url, timeout_s=5) as redis:
            await redis.execute("SET", "k", "v")
            server.command("config", "set", "maxmemory", "1")
            with pytest.raises(RedisUnavailable, match="OOM"):
                await redis.execute("SET", "l", "v")
            assert await redis.execute("GET", "k") == b"v"
            assert redis.available
