"""The commands of the README do what it says."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

import pytest

from loadtests.deployment import Platform
from mesh.registry import DirectoryRegistry

ROOT = Path(__file__).parents[2]
BLOCKS = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(document: str) -> list[str]:
    """The commands of all bash blocks, without their comments."""
    text = (ROOT / document).read_text()
    lines = [line for block in BLOCKS.findall(text) for line in block.splitlines()]
    return [line.partition(" #")[0].strip() for line in lines if line.strip()]


PLAYED = {".venv/bin/engine demo loop", ".venv/bin/engine demo loans"}
"""Take long, and are played by tests/scenario."""


def programs(document: str) -> list[str]:
    return [command for command in commands(document) if command.startswith(".venv/bin/engine")]


@pytest.mark.parametrize("document", ["README.md", "README.zh-CN.md", "CONTRIBUTING.md"])
def test_every_make_command_is_a_target(document: str) -> None:
    """`make X` of the documents exists; make would refuse another."""
    targets = [c.split()[1:] for c in commands(document) if c.startswith("make ")]
    assert targets
    for target in targets:
        subprocess.run(["make", "--dry-run", *target], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize("command", [c for c in programs("README.md") if c not in PLAYED])
def test_every_engine_command_works(platform: Platform, command: str) -> None:
    """Each ends well against a running platform, and says nothing on standard error."""
    done = subprocess.run(
        command.split(),
        cwd=ROOT,
        env=dict(platform.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_chinese_page_names_the_same_programs() -> None:
    """The two README files do not drift apart."""
    assert set(programs("README.zh-CN.md")) <= set(programs("README.md"))
    make = {c for c in commands("README.md") if c.startswith("make")}
    assert make == {c for c in commands("README.zh-CN.md") if c.startswith("make")}


def test_make_lists_few_targets_with_their_meaning() -> None:
    """`make help` is the way in; more than fifteen targets nobody reads."""
    done = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    lines = done.stdout.splitlines()
    assert 10 <= len(lines) <= 15
    assert all(len(line.split(maxsplit=1)) == 2 for line in lines)


@contextmanager
def make_run(var: Path) -> Iterator[list[str]]:
    """`make run` on a terminal and in a folder of its own; yields what it printed until it serves.

    At the end it gets a Ctrl-C from the terminal and must exit with code 0.
    """
    others = {k: v for k, v in os.environ.items() if not k.startswith("ENGINE_")}
    ports = {f"ENGINE_{name}": "0" for name in ("GATEWAY_PORT", "PORT_BASE", "METRICS_PORT")}
    environ = {**others, **ports, "ENGINE_VAR": str(var), "COLUMNS": "200"}
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execvpe("make", ["make", "run"], environ)
    with os.fdopen(terminal, "rb", buffering=0) as screen:
        said: list[str] = []
        seen_until(screen, "Ctrl-C drains", said)
        yield said
        os.write(terminal, b"\x03")
        seen_until(screen, "Stopped.", said)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, "".join(said)


def seen_until(screen: FileIO, text: str, said: list[str]) -> None:
    """Read the screen until `text` appears; the test's time-out bounds the wait."""
    while text not in "".join(said):
        said.append(screen.read(65536).decode(errors="replace"))


WRONG = r'"level": "(warning|error|critical)"|Traceback'
"""What no line of a log has when all went well."""


@pytest.mark.slow  # two whole platforms; `engine up` is started and stopped by test_up.py too
def test_make_run_stops_at_ctrl_c_and_finds_its_data_again(var: Path) -> None:
    """The bank is loaded once; the second start has it, and every stop is clean."""
    with make_run(var) as first:
        table = "".join(first)
        assert "Loading" in table
        for service in ("gateway", "identity", "sequencer", "ark", "customer", "ums"):
            assert re.search(rf"{service} +127\.0\.0\.1:\d+.*SERVING", table)
    assert DirectoryRegistry(var / "run").services() == {}
    with make_run(var) as second:
        assert "Generating" not in "".join(second)
    lines = [line for log in (var / "log").glob("*.log") for line in log.read_text().splitlines()]
    logs = [line for line in lines if "statement_slow" not in line]  # the machine may be busy
    wrong = [line for line in logs if re.search(WRONG, line)]
    assert not wrong


def test_a_second_platform_on_the_same_folder_is_refused(platform: Platform) -> None:
    """The first goes on; the second says what to do."""
    done = subprocess.run(
        [ROOT / ".venv/bin/engine", "up"],
        env=dict(platform.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "another 'engine up' runs" in done.stderr
