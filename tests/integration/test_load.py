"""The load test of `make load`, small, against a whole platform."""

from __future__ import annotations

import subprocess
import sys

import pytest

from loadtests.deployment import Platform


@pytest.mark.slow
def test_a_small_load_holds(platform: Platform) -> None:
    """Users of all kinds make requests over REST, stubs and SDK, and none fails."""
    command = [sys.executable, "-m", "loadtests.run_load", "--users", "13", "--rate", "13"]

    done = subprocess.run(
        [*command, "--time", "10s"],
        env=platform.environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    for request in (
        "/v1/customers/ID/follow-ups",
        "CustomerService/GetPortrait",
        "next_id",
        "/v1/tasks/{task_id}:start",
        "TaskService/StartTask",
        "/v1/business-events:ingest",
    ):
        assert request in done.stdout
