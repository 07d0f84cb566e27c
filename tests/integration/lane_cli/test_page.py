"""The examples of docs/howto/lanes.md work as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.deployment import Platform
from tests.integration.conftest import ENGINE

PAGE = Path(__file__).parents[3] / "docs" / "howto" / "lanes.md"
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands() -> Iterator[str]:
    """The page's commands, in their order."""
    for block in CONSOLE.findall(PAGE.read_text()):
        yield from (line.removeprefix("$ ") for line in block.splitlines())


@pytest.mark.slow
def test_all_that_the_page_shows_runs(platform: Platform, tmp_path: Path) -> None:
    """One command after another, in one folder, beside a demo; the call is seen."""
    path = os.pathsep.join([str(ENGINE.parent), platform.environ["PATH"]])
    found, said = [*commands()], ""
    assert len(found) > 5
    for command in found:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=tmp_path,
            env={**platform.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        said += done.stdout
    assert "CustomerService/ListCustomers" in said
