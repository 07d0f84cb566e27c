"""The how-to pages' examples work as they stand there."""

from __future__ import annotations

import os
import re
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from loadtests.deployment import Platform

HOWTO = Path(__file__).parents[2] / "docs" / "howto"
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def console(page: str) -> Iterator[str]:
    """The commands of a page's console blocks, without comments and output."""
    for block in CONSOLE.findall((HOWTO / page).read_text()):
        for line in block.splitlines():
            if line.startswith("$ engine"):
                yield line.removeprefix("$ ").partition(" #")[0].strip()


def test_signing_on_and_all_that_follows_runs(
    platform: Platform, run_document: Callable[..., str]
) -> None:
    """curl against the gateway: sign-on, refresh, sign-out, users, service accounts."""
    run_document(HOWTO / "identity.md", {**platform.environ, "GATEWAY": platform.targets.gateway()})


def test_a_client_of_any_language_finds_a_service(
    platform: Platform, run_document: Callable[..., str]
) -> None:
    """The bootstrap and the client of the page, and its commands for versions."""
    said = run_document(HOWTO / "discovery.md", platform.environ)
    assert "by xDS: 3 customers" in said
    commands = [*console("discovery.md")]
    assert len(commands) == 3
    path = os.pathsep.join([str(Path(sys.executable).parent), platform.environ["PATH"]])
    for command in commands:
        done = subprocess.run(
            shlex.split(command),
            env={**platform.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"


def test_the_bank_is_made_looked_at_and_loaded(platform: Platform, tmp_path: Path) -> None:
    """The page's commands, one after another in one folder."""
    path = os.pathsep.join([str(Path(sys.executable).parent), platform.environ["PATH"]])
    environ = {**platform.environ, "PATH": path}
    commands = [*console("bank.md")]
    assert len(commands) == 3
    for command in commands:
        done = subprocess.run(
            shlex.split(command),
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"


def test_events_are_told_heard_and_looked_at(platform: Platform) -> None:
    """The page's service runs as it stands there, and its commands answer."""
    (service,) = re.findall(
        r"^```python\n(.*?)^```$", (HOWTO / "events.md").read_text(), re.MULTILINE | re.DOTALL
    )
    commands = [shlex.split(command) for command in console("events.md")]
    assert len(commands) == 3
    path = os.pathsep.join([str(Path(sys.executable).parent), platform.environ["PATH"]])
    for command in [[sys.executable, "-c", service], *commands]:
        done = subprocess.run(
            command,
            cwd=HOWTO.parents[1],
            env={**platform.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command[:3]}: {done.stderr}"


@pytest.mark.slow
def test_sequences_are_looked_into_repaired_taken_over_and_retired(
    platform: Platform, tmp_path: Path
) -> None:
    """The runbooks' commands, one after another, beside an old store of orders."""
    with closing(sqlite3.connect(tmp_path / "till.db")) as store:
        store.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT)")
        store.execute("INSERT INTO orders VALUES (4711)")
        store.commit()
    path = os.pathsep.join([str(Path(sys.executable).parent), platform.environ["PATH"]])
    commands = [*console("sequencer.md")]
    assert len(commands) > 15
    said = {}
    for command in commands:
        done = subprocess.run(
            shlex.split(command),
            cwd=tmp_path,
            env={**platform.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        said[command.split()[2]] = done.stdout
    assert "goes on with 250001" in said["fence"]
    assert "second\t4711\t4712" in said["import"]
