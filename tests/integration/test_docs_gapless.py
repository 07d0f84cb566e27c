"""The examples of docs/howto/gapless.md work as they stand there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from loadtests.deployment import Platform
from tests.integration.test_docs_howto import console

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "gapless.md"


def ran(command: list[str], environ: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=PAGE.parents[2], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command[:3]}: {done.stderr}"
    return done.stdout


def test_numbers_are_signed_given_back_and_kept() -> None:
    """The service on the page, in a mesh of its own."""
    (service,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)

    said = ran([sys.executable, "-c", service], {**os.environ})

    assert said.splitlines() == ["signed 1", "offered (2, 3)", "kept (2,)"]


def test_the_commands_reserve_void_and_report(platform: Platform) -> None:
    """One after another on a platform; the report and the audit tell of the numbers."""
    path = os.pathsep.join([str(Path(sys.executable).parent), platform.environ["PATH"]])
    environ = {**platform.environ, "PATH": path}

    said = [ran(shlex.split(command), environ) for command in console(PAGE.name)]

    assert len(said) == 7
    assert "form spoiled at the printer" in said[3]
    assert all("reserved" in told for told in said[4:])
