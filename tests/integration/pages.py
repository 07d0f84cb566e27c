"""Runs the examples of a page, as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tests.integration.conftest import ENGINE

HOWTO: Final = Path(__file__).parents[2] / "docs" / "howto"
_CONSOLE: Final = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(page: Path) -> Iterator[str]:
    """The page's commands, in their order."""
    for block in _CONSOLE.findall(page.read_text()):
        yield from (line.removeprefix("$ ") for line in block.splitlines())


def run(found: list[str], folder: Path, environ: Mapping[str, str]) -> str:
    """Run one command after another in one folder; answers what they print."""
    path = os.pathsep.join([str(ENGINE.parent), environ["PATH"]])
    said = ""
    for command in found:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=folder,
            env={**environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        said += done.stdout
    return said
