"""The examples of docs/howto/ids.md work as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from loadtests.deployment import Platform

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "howto" / "ids.md"
PREPARED = "env -0"


def blocks(language: str) -> Iterator[str]:
    """The blocks of the page that are marked so."""
    yield from re.findall(
        rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's Python files, under the names that they begin with."""
    folder = tmp_path_factory.mktemp("ids")
    for block in blocks("python"):
        name, _, _ = block.removeprefix("# ").partition("\n")
        (folder / name).write_text(block)
    return folder


@pytest.fixture(scope="module")
def environ(platform: Platform) -> Mapping[str, str]:
    """What the page's shell exports: the account, the sequence, where everything is."""
    (commands,) = blocks("bash")
    path = os.pathsep.join([str(Path(sys.executable).parent), platform.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euc", f"{commands}{PREPARED}"],
        env={**platform.environ, "PATH": path, "GATEWAY": platform.targets.gateway()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pairs = done.stdout.rpartition("\n")[2].rstrip("\0").split("\0")
    return {**dict(pair.partition("=")[::2] for pair in pairs), "PYTHONPATH": str(ROOT)}


def run(folder: Path, environ: Mapping[str, str], *command: str) -> str:
    """What a command in the folder of the files prints."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def test_a_service_takes_ids(folder: Path) -> None:
    """In a mesh of its own."""
    said = run(folder, {**os.environ, "PYTHONPATH": str(ROOT)}, "service.py")
    assert re.search(r"^service: (\d+) \d+ \d+$", said, re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("script.py", r"script: \[\d+, \d+, \d+\]\nbulk: 1000\n"),
        ("loop.py", r"loop: \d+\nbulk: 1000\n"),
        ("models.py", r"rows: \[\d+, \d+\]\n"),
        ("forking.py", r"forked: 700\n"),
    ],
)
def test_a_program_takes_ids(
    folder: Path, environ: Mapping[str, str], name: str, said: str
) -> None:
    """Alone, on a loop, for rows, in children."""
    assert re.search(said, run(folder, environ, name))


def test_users_of_locust_take_ids(folder: Path, environ: Mapping[str, str]) -> None:
    """Many at once, in a process of gevent's; none fails."""
    options = ["--headless", "-u", "20", "-r", "20", "-t", "2s", "--only-summary"]
    said = run(folder, environ, "-m", "locust", "-f", "locustfile.py", *options)
    made = re.search(r"Aggregated\s+(\d+)\s+(\d+)\(", said)
    assert made, said
    assert (int(made[1]) > 20, int(made[2])) == (True, 0)  # how many more is a matter of speed
