"""What scenarios share: a platform, who plays on it, and one run of the golden loop."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cli.loop.catalogue import Shelf, stock
from cli.loop.people import People
from cli.loop.strategies import Strategies
from loadtests.deployment import Platform
from mesh.settings import load

ENGINE = Path(sys.executable).with_name("engine")


@pytest.fixture(scope="session")
def played(platform: Platform) -> Mapping[str, Mapping[str, Any]]:
    """The table of one run of the golden loop on the platform, by row."""
    return table(
        subprocess.run(
            [ENGINE, "demo", "loop", "--json"],
            env=dict(platform.environ),
            capture_output=True,
            text=True,
            check=False,
        )
    )


@pytest.fixture
async def people(platform: Platform) -> AsyncIterator[People]:
    """Demo users, of whom head office and the core bank are signed on."""
    async with People(load(platform.environ)) as people:
        await Strategies(people).sign_on()
        yield people


@pytest.fixture
async def shelf(people: People) -> Shelf:
    """What the demo bank sells and says; its contact policy is in force."""
    return await stock(people)


def table(done: subprocess.CompletedProcess[str]) -> Mapping[str, Mapping[str, Any]]:
    """What a run printed, by row."""
    assert done.stdout, done.stderr
    return {line["key"]: line for line in json.loads(done.stdout)}
