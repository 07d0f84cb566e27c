"""The examples of the page on operating work as they stand there."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "howto" / "operate.md"


@pytest.mark.slow
def test_workers_are_served_replaced_and_routed(environ: Mapping[str, str], var: Path) -> None:
    """All blocks, one after another, in one shell; nothing fails."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 3
    script = "\n".join(["set -eu", *blocks, "kill %1 %2", "wait"])
    path = os.pathsep.join([str(Path(sys.executable).parent), environ["PATH"]])
    with subprocess.Popen(
        ["bash", "-c", script],
        cwd=var,
        env={**environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as shell:
        try:
            said, _ = shell.communicate(timeout=100)
        finally:
            if shell.poll() is None:
                os.killpg(shell.pid, signal.SIGTERM)
    assert shell.returncode == 0, said
    assert said.count("Replaced 2 processes") == 2
    assert "customer\t5 %\t0.2.0" in said
    assert "All processes of 'customer' get its calls alike." in said
