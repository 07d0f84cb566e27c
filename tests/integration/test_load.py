"""The load test of `make load`, small, against a whole platform."""

from __future__ import annotations

import subprocess
import sys

from loadtests.deployment import Platform


def test_a_small_load_holds(platform: Platform) -> None:
    """Users of all three kinds make requests over REST, stubs and SDK, and none fails."""
    command = [sys.executable, "-m", "loadtests.run_load", "--users", "6", "--rate", "6"]

    done = subprocess.run(
        [*command, "--time", "5s"],
        env=platform.environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    for request in ("/v1/customers/ID/follow-ups", "CustomerService/GetPortrait", "next_id"):
        assert request in done.stdout
