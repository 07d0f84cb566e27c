"""The golden loop (A1) on MariaDB and Redis, with two processes of each service."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from loadtests.deployment import Platform, own_platform
from loadtests.servers import MariaDb, Redis
from mesh.registry import DirectoryRegistry

ENGINE = Path(sys.executable).with_name("engine")
EXAMPLE = Path(__file__).parents[2] / "deploy" / "production.example.env"
KILL_EVERY_S = 1.0
ONCE = {"registry", "ums", "bus", "sms", "calls", "wecom-server"}
"""Services of which one process runs: they keep in memory what their answers need."""

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(600)]

Table = Mapping[str, Mapping[str, Any]]


@pytest.fixture(scope="module")
def production(mariadb: MariaDb, redis_server: Redis) -> Iterator[Platform]:
    """The platform as the settings for production have it, but with demo users."""
    settings = {
        "ENGINE_DATABASE_URL": mariadb.url,
        "ENGINE_DATABASE_PASSWORD": "",
        "ENGINE_DATABASE_PREFIX": "golden_",
        "ENGINE_REDIS_URL": redis_server.url,
        "ENGINE_REDIS_PASSWORD": "",
    }
    with own_platform(settings, file=EXAMPLE) as platform:
        yield platform


def registry(platform: Platform) -> DirectoryRegistry:
    return DirectoryRegistry(Path(platform.environ["ENGINE_VAR"]) / "run")


def table(said: str, errors: str) -> Table:
    assert said, errors
    return {line["key"]: line for line in json.loads(said)}


def wrong(found: Table) -> dict[str, tuple[str, str]]:
    """The rows that differ: what was expected, what was found."""
    return {
        key: (line["expected"], line["found"]) for key, line in found.items() if not line["holds"]
    }


def play(platform: Platform) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [ENGINE, "demo", "loop", "--json"],
        env=dict(platform.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def consumers(platform: Platform) -> str:
    """How far all consumers are, and what they gave up: why a row may differ."""
    said = [
        subprocess.run(
            [ENGINE, "events", what],
            env=dict(platform.environ),
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        for what in ("groups", "dead")
    ]
    return "\n".join(said)


def test_two_processes_of_each_service_serve(production: Platform) -> None:
    """But for those that say why only one may; the gateways share the address users know."""
    running = registry(production).services()
    assert {name for name, entries in running.items() if len(entries) == 1} == ONCE
    assert {len(entries) for name, entries in running.items() if name not in ONCE} == {2}
    assert len({entry.http for entry in running["gateway"]}) == 1


def test_the_table_is_found_exactly(production: Platform) -> None:
    """Every row of A1, as on one file a service."""
    with play(production) as run:
        found = table(*run.communicate())
    assert wrong(found) == {}, consumers(production)
    assert len(found) == 39


def test_the_table_survives_the_death_of_each_process(production: Platform) -> None:
    """While the loop is played again every process is killed once, and the table is the same."""
    victims = [entry for entries in registry(production).services().values() for entry in entries]
    random.Random(4).shuffle(victims)
    killed = set()
    with play(production) as run:
        for victim in victims:
            with suppress(subprocess.TimeoutExpired):
                run.wait(KILL_EVERY_S)
            if run.poll() is None:
                os.kill(victim.pid, signal.SIGKILL)
                killed.add(victim.pid)
        found = table(*run.communicate())
    state = consumers(production)
    assert killed == {victim.pid for victim in victims}, "the run ended before all were killed"
    assert wrong(found) == {}, state
