"""The examples of docs/howto/testing.md are tests that pass as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "howto" / "testing.md"
EXAMPLES = {
    block.removeprefix("# ").partition("\n")[0]: block
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
}
SETTINGS = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's files, in a project that has the setting which the page names."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "pytest.ini").write_text(SETTINGS)
    for name, text in EXAMPLES.items():
        (folder / name).write_text(text)
    return folder


def test_the_examples_pass(folder: Path) -> None:
    """Each file has tests, warnings are errors, and all pass."""
    options = ["-q", "-W", "error", "-p", "no:randomly", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "build/gen")])},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"^(\d+) passed in", done.stdout, re.MULTILINE)
    assert passed, done.stdout
    assert int(passed[1]) == sum(text.count("def test_") for text in EXAMPLES.values())


def test_every_part_of_the_page_has_an_example() -> None:
    """A fake, a service, faults and a link, several services."""
    names = ["test_greeting.py", "test_book.py", "test_patience.py", "test_two_callers.py"]
    assert [*EXAMPLES] == names
