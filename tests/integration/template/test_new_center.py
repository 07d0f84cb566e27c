"""A new centre passes the checks of the whole project at once."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from cli.templates._names import MAX_LENGTH, MAX_TITLE

ROOT = Path(__file__).parents[3]
LEFT = shutil.ignore_patterns(
    *(".git", ".venv", "build", "dist", "var", "*.pyc", "__pycache__"), ".*_cache", ".hypothesis"
)
CHECKS = (
    "tests/unit/test_architecture_page.py",
    "tests/unit/test_center_pages.py",
    "tests/unit/test_house_shape.py",
    "tests/unit/centers/identity/test_catalogue.py",
    "tests/unit/centers/identity/test_roles.py",
    "tests/unit/cli/test_compose.py",
    "tests/conformance/test_audit_contract.py",
    "tests/integration/test_migrations_services.py",
)
"""Tests that look at every centre, whatever it is called."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class Copy:
    """A copy of the project, whose modules go before those of the one under test."""

    def __init__(self, root: Path) -> None:
        self.root = root
        generated = root / "build" / "gen"
        self._environ: Mapping[str, str] = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(root), str(generated)]),
        }

    def python(self, *arguments: str) -> None:
        """Run Python there; it must succeed."""
        self.run(sys.executable, *arguments)

    def tool(self, name: str, *arguments: str) -> None:
        """Run a program of the environment there; it must succeed."""
        self.run(str(Path(sys.executable).with_name(name)), *arguments)

    def run(self, *command: str) -> None:
        done = subprocess.run(
            command,
            cwd=self.root,
            env=dict(self._environ),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"


@pytest.fixture
def project(tmp_path: Path) -> Copy:
    shutil.copytree(ROOT, tmp_path / "engine", ignore=LEFT)
    return Copy(tmp_path / "engine")


NEW = "from cli.main import main; main()"


@pytest.mark.parametrize(
    ("center", "resource", "title"),
    [
        ("okapi", "hoof", "霍加狓中心"),
        ("zeal", "aa", ""),
        ("a" * MAX_LENGTH, "b" * (MAX_LENGTH - 1) + "x", "中" * MAX_TITLE),
    ],
)
def test_new_centre_has_the_house_style(
    project: Copy, center: str, resource: str, title: str
) -> None:
    """Whatever the names: they sort before or after ours, and lines are as long as may be."""
    words = ("new", "center", center, "--resource", resource, "--title", title)
    project.python("-c", NEW, *words)
    tests = (f"tests/unit/centers/{center}", f"tests/integration/test_{center}_service.py")
    written = (f"centers/{center}", "centers/identity/roles.py", *tests)
    project.tool("ruff", "check", "--no-cache", *written)
    project.tool("ruff", "format", "--no-cache", "--check", *written)
    project.python("build_hook.py", "image")
    project.tool("buf", "lint", "build/image.binpb", "--config", "buf.yaml")


def test_new_centre_passes_all_checks_at_once(project: Copy) -> None:
    """Made as the guide makes one: types, layers, its own tests, and those of every centre."""
    guide = (ROOT / "docs" / "howto" / "new-center.md").read_text()
    (command,) = re.findall(r"^\$ engine (new center .*)$", guide, re.MULTILINE)
    *begin, name, _, resource, _, _ = words = shlex.split(command)
    assert begin == ["new", "center"]
    project.python("-c", NEW, *[{name: "okapi", resource: "hoof"}.get(one, one) for one in words])
    project.python("build_hook.py", "generate")
    tests = ("tests/unit/centers/okapi", "tests/integration/test_okapi_service.py")
    project.python("-m", "mypy", "centers/okapi", *tests)
    project.tool("lint-imports", "--no-logo", "--no-cache")
    project.python(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not real"), *tests, *CHECKS
    )
