"""Every process of a whole platform is replaced while it is called and the golden loop runs."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.deployment import Platform, own_platform
from loadtests.servers import MariaDb, Redis, free_port
from mesh.registry import DirectoryRegistry
from tests.fault.mesh_platform import CALLS, calling
from tests.scenario.test_golden_loop_production import (
    ENGINE,
    EXAMPLE,
    Table,
    consumers,
    play,
    table,
    wrong,
)

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(900)]

TOKEN_S = 3_600
"""Longer than the test: nobody has to sign on again."""


@pytest.fixture(scope="module")
def production(mariadb: MariaDb, redis_server: Redis) -> Iterator[Platform]:
    """Two processes of each service, found by a registry of leases."""
    settings = {
        "ENGINE_DATABASE_URL": mariadb.url,
        "ENGINE_DATABASE_PASSWORD": "",
        "ENGINE_DATABASE_PREFIX": "rolling_",
        "ENGINE_REDIS_URL": redis_server.url,
        "ENGINE_REDIS_PASSWORD": "",
        "ENGINE_REGISTRY": f"127.0.0.1:{free_port()}",
        "ENGINE_TOKEN_TTL_S": str(TOKEN_S),
    }
    with own_platform(settings, file=EXAMPLE) as platform:
        yield platform


def processes(platform: Platform) -> set[int]:
    """All that serve now."""
    registry = DirectoryRegistry(Path(platform.environ["ENGINE_VAR"]) / "run")
    return {entry.pid for entries in registry.services().values() for entry in entries}


def engine(platform: Platform, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ENGINE, *arguments],
        env=dict(platform.environ),
        capture_output=True,
        text=True,
        check=False,
    )


def loops_until(platform: Platform, enough: threading.Event) -> list[Table]:
    """The tables of runs of the golden loop, of which the last one ends after `enough`."""
    found = []
    while not enough.is_set():
        with play(platform) as run:
            found.append(table(*run.communicate()))
    return found


async def test_nobody_notices_that_every_process_is_replaced(production: Platform) -> None:
    """No call fails, no id is leased twice, and every row of the loop's table is found."""
    before, enough = processes(production), threading.Event()
    async with calling(production) as callers:
        loops = asyncio.create_task(asyncio.to_thread(loops_until, production, enough))
        restarted = await asyncio.to_thread(engine, production, "mesh", "restart", "--all")
        enough.set()
        tables = await loops
    assert restarted.returncode == 0, restarted.stderr
    assert not processes(production) & before
    assert [wrong(found) for found in tables] == [{}] * len(tables), consumers(production)
    assert callers.failures == []
    assert callers.doubled == []
    assert min(callers.answered[name] for name in CALLS) > 0
