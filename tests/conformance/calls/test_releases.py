"""The suite between releases: a server of the release before this one serves the same calls.

`ENGINE_PEER_PYTHON=/path/to/python pytest tests/conformance/calls` runs each test of this
folder against servers under another interpreter, whose environment has the wheel of another
release (and grpcio-tools). `ENGINE_PREVIOUS_PYTHON` lets this file do that in any run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.calls.paths import PATHS, PEER_PYTHON, connected

PREVIOUS_PYTHON = "ENGINE_PREVIOUS_PYTHON"


async def test_peer_in_another_process_serves_every_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the suite needs to hold two releases against each other works."""
    monkeypatch.setenv(PEER_PYTHON, sys.executable)
    async with connected(PATHS[-1]) as client:
        request = client.request("hold", b"far away")
        call = client.stub.Act(request)
        assert 0 < await client.noted(request, "started") <= 10
        await client.release(request)
        assert (await call).payload == b"far away"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_suite_holds_against_the_previous_release() -> None:
    """N talks to N-1: the same expectations, our client and the server of the release before."""
    python = os.environ.get(PREVIOUS_PYTHON)
    if not python:
        pytest.skip(f"there is no earlier release: {PREVIOUS_PYTHON} names no interpreter with one")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", str(Path(__file__).parent), "-m", "not slow"],
        env={**os.environ, PEER_PYTHON: python},
        check=False,
    )
    assert ran.returncode == 0
