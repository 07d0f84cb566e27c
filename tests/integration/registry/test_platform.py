"""A whole platform whose processes find one another by leases."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.serve import bound
from loadtests.deployment import Platform, own_platform
from mesh.registry import DirectoryRegistry, Entry

pytestmark = [pytest.mark.slow, pytest.mark.embedded]

WAIT_S = 60.0


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    """One with a registry of leases."""
    with own_platform({"ENGINE_REGISTRY": f"127.0.0.1:{bound('127.0.0.1', 0)}"}) as platform:
        yield platform


def engine(platform: Platform, *command: str) -> str:
    """What a command says."""
    program = Path(sys.executable).with_name("engine")
    done = subprocess.run(
        [program, *command], env=platform.environ, capture_output=True, text=True, check=True
    )
    return done.stdout


def registry_of(platform: Platform) -> Entry:
    """The process of the registry, as the folder of this host has it."""
    folder = DirectoryRegistry(Path(platform.environ["ENGINE_VAR"]) / "run")
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        if found := folder.lookup("registry"):
            return found[0]
        time.sleep(0.05)
    raise AssertionError("no registry serves")


def customers(platform: Platform, token: str) -> int:
    """Customers of one page, asked for through the gateway."""
    request = urllib.request.Request(
        f"{platform.targets.gateway()}/v1/customers?page_size=2",
        headers={"Authorization": f"Bearer {token}"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return len(json.load(answer)["customers"])


def test_a_registry_that_is_killed_takes_no_call_away(platform: Platform) -> None:
    """It is started again, and all of its services come back to it."""
    token = engine(platform, "token", "mint", "--user", "rm001").strip()
    before = registry_of(platform)
    rows = engine(platform, "mesh", "status").splitlines()
    os.kill(before.pid, signal.SIGKILL)
    after, calls = before, 0
    while after.pid == before.pid or calls < 200:
        assert customers(platform, token) == 2
        after, calls = registry_of(platform), calls + 1
    assert before.address == after.address
    until = time.monotonic() + WAIT_S
    while len(engine(platform, "mesh", "status").splitlines()) < len(rows):
        assert time.monotonic() < until
    assert customers(platform, token) == 2
