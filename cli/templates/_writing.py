"""Writes a plan: all of its files or none."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from cli.templates._plan import Plan

TIDY_TIMEOUT_S: Final = 60.0
"""How long ruff may take for a dozen files, on the slowest machine."""


def write(root: Path, plan: Plan) -> bool:
    """Write all files of the plan into the project at `root`; answers whether they are tidied.

    They are written aside first and then put in their places. Whatever goes wrong
    meanwhile, Ctrl-C included, is undone. Without ruff long names may leave imports
    and lines untidy.

    Raises:
        OSError: a file cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix=".new-center-", dir=root) as folder:
        staged = Path(folder)
        for path, text in {**plan.new, **plan.changed}.items():
            (staged / path).parent.mkdir(parents=True, exist_ok=True)
            (staged / path).write_text(text)
        tidied = _tidy(staged, root, [path for path in plan.new if path.endswith(".py")])
        with _all_or_none() as undo:
            for path in plan.new:
                _put(staged / path, root / path, root, undo)
            for path in plan.changed:
                _exchange(staged / path, root / path, undo)
    return tidied


def _tidy(staged: Path, root: Path, paths: list[str]) -> bool:
    """Sort imports and wrap lines as the names ask for it."""
    ruff = Path(sys.executable).with_name("ruff")
    if not ruff.exists():
        return False
    rules = ["--config", str(root / "pyproject.toml"), "--no-cache", "--quiet"]
    try:
        for command in (["check", "--select", "I", "--fix", *rules], ["format", *rules]):
            subprocess.run(  # noqa: S603 - its own paths, no shell
                [ruff, *command, *paths], cwd=staged, timeout=TIDY_TIMEOUT_S, check=True
            )
    except subprocess.SubprocessError:  # `make fix` will say why
        return False
    return True


@contextmanager
def _all_or_none() -> Iterator[ExitStack]:
    """Yields the stack of what undoes the work; it is undone unless all of it succeeds."""
    with ExitStack() as undo:
        yield undo
        undo.pop_all()


def _put(staged: Path, target: Path, root: Path, undo: ExitStack) -> None:
    """Copy a new file to its place; one that is there meanwhile is left alone."""
    missing = [folder for folder in target.parents if folder != root and not folder.exists()]
    for folder in reversed(missing):
        if folder.is_relative_to(root):
            folder.mkdir()
            undo.callback(folder.rmdir)
    with target.open("x") as file:
        undo.callback(target.unlink)
        file.write(staged.read_text())


def _exchange(staged: Path, target: Path, undo: ExitStack) -> None:
    before = staged.with_name(f"{staged.name}.before")
    shutil.copy2(target, before)
    shutil.copymode(target, staged)
    undo.callback(before.replace, target)
    staged.replace(target)
