"""Builds the wheels that other teams install: typed stubs, and the client.

    python -m cli.wheels --out dist

Runs in a checkout with the contracts generated, needs no network, and answers
the same bytes for the same sources.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hatchling.builders.wheel import WheelBuilder
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager
from packaging.requirements import Requirement

ROOT: Final = Path(__file__).parent.parent

CONTRACTS: Final = ("engine", "buf")

CLIENT: Final = (
    "mesh/__init__.py",
    "mesh/alarm.py",
    "mesh/attempt.py",
    "mesh/balancing",
    "mesh/blocking",
    "mesh/channel.py",
    "mesh/context.py",
    "mesh/deadline.py",
    "mesh/errors.py",
    "mesh/failed_call.py",
    "mesh/hedger.py",
    "mesh/host.py",
    "mesh/lane",
    "mesh/log.py",
    "mesh/multicallable.py",
    "mesh/outgoing.py",
    "mesh/peer.py",
    "mesh/plain.py",
    "mesh/plain_call.py",
    "mesh/py.typed",
    "mesh/recovery.py",
    "mesh/resilience",
    "mesh/retried.py",
    "mesh/settings.py",
    "mesh/spiffe.py",
    "mesh/telemetry.py",
    "sequencer/__init__.py",
    "sequencer/py.typed",
    "sequencer/sdk",
)
"""What a client needs, and no server: modules, and packages."""

SERVER: Final = (
    "mesh/lane/listener.py",
    "mesh/lane/redaction.py",
    "mesh/lane/rpc.py",
    "mesh/lane/tap.py",
    "mesh/resilience/shedding.py",
)
"""Of the packages, what only a server of the platform needs."""

RUNTIME: Final = ("googleapis-common-protos", "grpcio", "protobuf")
"""What the stubs need."""

CLIENT_RUNTIME: Final = ("msgspec",)
"""What the client needs beside the stubs."""


class BuildError(Exception):
    """The wheels cannot be built here; the text says what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """A wheel to build from `files`, which are files and folders relative to `folder`.

    Files named in `without` are left out of the folders.
    """

    name: str
    description: str
    folder: Path
    files: tuple[str, ...]
    without: tuple[str, ...] = ()
    requires: tuple[str, ...]


def build(out: Path, root: Path = ROOT) -> list[Path]:
    """Build both wheels of the checkout at `root` into `out`; returns their paths.

    Wheels of the same version are replaced, both or, when one fails, none.

    Raises:
        BuildError: a source is missing.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".building-") as work:
        fresh = [
            _build(wheel, project, root, Path(work) / wheel.name)
            for wheel in distributions(project, root)
        ]
        return [path.replace(out / path.name) for path in fresh]


def distributions(project: Mapping[str, Any], root: Path) -> tuple[Distribution, Distribution]:
    """The wheels of a checkout; `project` is the table of that name in its pyproject.toml."""
    stubs = Distribution(
        name="engine-stubs",
        description="Engine's contracts: typed gRPC stubs and messages.",
        folder=root / "build" / "gen",
        files=CONTRACTS,
        requires=_at_least(RUNTIME, project["dependencies"]),
    )
    client = Distribution(
        name="engine-client",
        description="Call Engine's services and take ids from its sequencer.",
        folder=root,
        files=CLIENT,
        without=SERVER,
        requires=(
            f"{stubs.name}=={project['version']}",
            *stubs.requires,
            *_at_least(CLIENT_RUNTIME, project["dependencies"]),
        ),
    )
    return stubs, client


def _at_least(names: Iterable[str], dependencies: Iterable[str]) -> tuple[str, ...]:
    """The platform's own requirements, with pinned versions as the lower bounds."""
    own = {requirement.name: requirement for requirement in map(Requirement, dependencies)}
    missing = [name for name in names if name not in own]
    if missing:
        raise BuildError(f"pyproject.toml does not depend on {', '.join(missing)}")
    return tuple(f"{name}{str(own[name].specifier).replace('==', '>=')}" for name in names)


def _build(wheel: Distribution, project: Mapping[str, Any], root: Path, work: Path) -> Path:
    """Stage the sources in `work` and build there."""
    staged = work / "staged"
    for name in wheel.files:
        _stage(wheel.folder / name, staged / name)
    for name in wheel.without:
        (staged / name).unlink(missing_ok=True)
    licenses = [path.name for path in root.glob("LICENSE*")]
    for name in licenses:
        _stage(root / name, staged / name)
    config = {
        "project": {
            "name": wheel.name,
            "version": project["version"],
            "description": wheel.description,
            "license": project["license"],
            "license-files": licenses,
            "requires-python": project["requires-python"],
            "dependencies": list(wheel.requires),
        },
        "tool": {"hatch": {"build": {"targets": {"wheel": {"only-include": list(wheel.files)}}}}},
    }
    metadata = ProjectMetadata(str(staged), PluginManager(), config)
    builder = WheelBuilder(str(staged), metadata=metadata)
    (built,) = builder.build(directory=str(work), versions=["standard"])
    return Path(built)


def _stage(source: Path, target: Path) -> None:
    if not source.exists():
        raise BuildError(f"{source} is missing: run 'make setup' in a checkout first")
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copyfile(source, target)


def main() -> None:
    """Build the wheels and print where they are."""
    parser = argparse.ArgumentParser(description="Build the wheels that other teams install.")
    parser.add_argument("--out", type=Path, default=Path("dist"), help="folder for the wheels")
    for path in build(parser.parse_args().out):
        print(path)


if __name__ == "__main__":
    main()
