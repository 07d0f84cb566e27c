"""The golden loop (A1) on a whole platform: from 10,000 inflows to a measured effect."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bank import Customers, Plan, Rows, parse_scale
from loadtests.deployment import Platform
from mesh.registry import DirectoryRegistry

ENGINE = Path(sys.executable).with_name("engine")
KILL_EVERY_S = 1.5


def wrong(table: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[str, str]]:
    """The rows that differ: what was expected, what was found."""
    return {
        key: (line["expected"], line["found"]) for key, line in table.items() if not line["holds"]
    }


@pytest.mark.timeout(240)
def test_the_table_is_found_exactly(played: Mapping[str, Mapping[str, Any]]) -> None:
    """Every row of A1, the ledger to the fen and the interval to a tenth of a point."""
    assert wrong(played) == {}
    assert len(played) > 30


@pytest.mark.timeout(240)
def test_no_personal_data_rests_outside_the_ark(
    platform: Platform, played: Mapping[str, Mapping[str, Any]]
) -> None:
    """The canaries of the run stand in no database, log or queue but the Ark's."""
    assert played
    var = Path(platform.environ["ENGINE_VAR"])
    values = [value.encode() for value in _canaries()]
    files = [path for path in var.rglob("*") if path.is_file() and "bank" not in path.parts]
    arks = [path for path in files if path.name.startswith("ark.db")]
    assert any(value in path.read_bytes() for path in arks for value in values)
    others = sorted(set(files) - set(arks))
    assert {path.name for path in others} >= {"action.db", "reach.db", "bus.db", "review.db"}
    hits = [
        (path.name, value.decode())
        for path in others
        for content in [path.read_bytes()]
        for value in values
        if value in content
    ]
    assert hits == []


def _canaries() -> list[str]:
    """Unmistakable values of the run's customers."""
    customers = Customers(Plan(scale=parse_scale("S"), seed=20260101))
    block = customers.block(Rows(10_001, 10_000))
    chosen = block.filter(block["is_canary"]).to_pydict()
    found = [value for name in ("cif", "name", "phone", "id_card") for value in chosen[name]]
    assert len(found) >= 80
    return found


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_table_survives_the_death_of_each_service(
    platform: Platform, played: Mapping[str, Mapping[str, Any]]
) -> None:
    """While the loop is played again every service is killed once, and the table is the same."""
    assert played
    registry = DirectoryRegistry(Path(platform.environ["ENGINE_VAR"]) / "run")
    victims = sorted(registry.services())
    random.Random(3).shuffle(victims)
    with subprocess.Popen(
        [ENGINE, "demo", "loop", "--json"],
        env=dict(platform.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        killed = []
        for victim in victims:
            with suppress(subprocess.TimeoutExpired):
                run.wait(KILL_EVERY_S)
            if run.poll() is None:
                killed += [victim for entry in registry.lookup(victim) if _kill(entry.pid)]
        said, errors = run.communicate()
    assert said, errors
    assert set(killed) == set(victims), "the run ended before every service had been killed"
    assert wrong({line["key"]: line for line in json.loads(said)}) == {}


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
