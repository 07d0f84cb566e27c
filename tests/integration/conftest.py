"""What integration tests share: a client's environment, documents that run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import Distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from cli import wheels

ENGINE = Path(sys.executable).with_name("engine")


@pytest.fixture(scope="session")
def client_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the client's wheels and what they require, no more."""
    folder = tmp_path_factory.mktemp("client")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    (site_packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    built = wheels.build(folder / "dist")
    for wheel in built:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site_packages)
    for wheel in built:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site_packages)
    for needed in _required("engine-client", [str(site_packages), *sys.path]):
        _link(needed, site_packages)
    return folder / "venv" / "bin" / "python"


def _required(name: str, path: Sequence[str]) -> Iterator[Distribution]:
    """The distribution of that name on `path`, and all that it requires."""
    wanted, seen = [name], {name}
    while wanted:
        found = next(iter(Distribution.discover(name=wanted.pop(), path=[*path])))
        yield found
        for requirement in map(Requirement, found.requires or ()):
            applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if applies and requirement.name not in seen:
                seen.add(requirement.name)
                wanted.append(requirement.name)


def _link(needed: Distribution, site_packages: Path) -> None:
    """Install by links, unless it is there; console scripts, which lie outside, are left out."""
    for file in needed.files or ():
        target = site_packages / file
        if ".." not in file.parts and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(Path(str(needed.locate_file(file))))


@pytest.fixture
def run_document(tmp_path: Path, client_python: Path) -> Callable[..., str]:
    """Runs the examples of a Markdown document and answers what they print.

    `run_document(path, environ)` makes one bash script of all fenced blocks marked
    `bash` and `python`, in their order, so that a block may use what another one
    exported; Python runs in the client's environment. The first block that fails
    fails the test. Blocks marked otherwise are not run.
    """

    def run(document: Path, environ: Mapping[str, str]) -> str:
        script = tmp_path / "document.sh"
        script.write_text("\n".join(_commands(document, tmp_path, client_python)))
        path = os.pathsep.join([str(ENGINE.parent), environ["PATH"]])
        done = subprocess.run(
            ["bash", script],
            cwd=tmp_path,
            env={**environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{document.name}:\n{done.stdout}{done.stderr}"
        return done.stdout

    return run


_FENCED = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _commands(document: Path, folder: Path, python: Path) -> Iterator[str]:
    yield "set -euo pipefail"
    text = document.read_text()
    for block in _FENCED.finditer(text):
        line = text.count("\n", 0, block.start()) + 1
        yield f"echo 'block at line {line}' >&2"
        if block[1] == "bash":
            yield block[2]
        else:
            example = folder / f"line{line}.py"
            example.write_text(block[2])
            yield f"'{python}' '{example}'"
