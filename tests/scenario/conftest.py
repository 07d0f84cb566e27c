"""What scenarios share: a platform on which the golden loop was played once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from loadtests.deployment import Platform

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


def table(done: subprocess.CompletedProcess[str]) -> Mapping[str, Mapping[str, Any]]:
    """What a run printed, by row."""
    assert done.stdout, done.stderr
    return {line["key"]: line for line in json.loads(done.stdout)}
