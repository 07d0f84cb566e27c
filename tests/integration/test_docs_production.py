"""The page on production works as it stands there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from loadtests.servers import MariaDb, Redis

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "howto" / "production.md"
EXAMPLE = ROOT / "deploy" / "production.example.env"


@pytest.mark.real
def test_the_way_from_nothing_to_examined_and_migrated(tmp_path: Path, var: Path) -> None:
    """On servers and folders of the test's own; the last examination finds no failure."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 3
    with MariaDb(tmp_path / "db") as database, Redis(tmp_path / "redis") as redis:
        own = {"/etc/engine": f"{var}/etc", "/var/lib/engine": f"{var}/lib"}
        own |= {"6379": str(redis.port), "3306": str(database.port)}
        (var / "deploy").mkdir()
        (var / "deploy" / EXAMPLE.name).write_text(adapted(EXAMPLE.read_text(), own))
        (var / ".my.cnf").write_text(f"[client]\nsocket={tmp_path}/db/sock\n")
        others = {k: v for k, v in os.environ.items() if not k.startswith("ENGINE_")}
        path = os.pathsep.join([str(Path(sys.executable).parent), others["PATH"]])
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", adapted("\n".join(blocks), own)],
            cwd=var,
            env={**others, "PATH": path, "HOME": str(var)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    findings = {line["name"]: line for line in json.loads((var / "etc/examined.json").read_text())}
    assert findings["schema"]["found"].endswith("databases fit the program")
    assert findings["database secret"]["verdict"] == findings["redis secret"]["verdict"] == "ok"


def adapted(text: str, own: dict[str, str]) -> str:
    """The text with the folders and ports of the test."""
    for old, new in own.items():
        text = text.replace(old, new)
    return text
