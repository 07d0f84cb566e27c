"""The wheels for other teams: what is in them, and that a build leaves nothing half-done."""

from __future__ import annotations

import shutil
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

from cli import wheels

ROOT = Path(__file__).parents[3]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the wheels are built from, to be damaged."""
    root = tmp_path / "checkout"
    for name in (*wheels.CLIENT, "build/gen/engine", "build/gen/buf", "pyproject.toml", "LICENSE"):
        source, target = ROOT / name, root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
    return root


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def test_two_builds_have_the_same_bytes(tmp_path: Path) -> None:
    """A rebuild of the same sources can be compared with what was published."""
    first, second = (wheels.build(tmp_path / name) for name in ("first", "second"))

    assert [p.name for p in first] == [p.name for p in second]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_stubs_hold_every_generated_file_and_no_package_of_their_own(tmp_path: Path) -> None:
    """`engine` stays a namespace package, and type checkers find what was generated."""
    stubs, _ = wheels.build(tmp_path)
    generated = ROOT / "build" / "gen"
    wanted = {
        str(path.relative_to(generated))
        for path in generated.rglob("*")
        if path.suffix in {".py", ".pyi", ".typed"}
    }

    assert contents(stubs) == wanted
    assert "engine/__init__.py" not in contents(stubs)
    assert "engine/customer/v1/py.typed" in contents(stubs)


def test_the_client_holds_nothing_of_the_server(tmp_path: Path) -> None:
    """Only the listed modules of the runtime go out, and the SDK."""
    _, client = wheels.build(tmp_path)

    shipped = {name for name in contents(client) if ".dist-info/" not in name}
    assert all(name.startswith(wheels.CLIENT) for name in shipped)
    assert {"mesh/lane/client.py", "mesh/blocking/__init__.py"} <= shipped
    assert "sequencer/sdk/__init__.py" in shipped
    assert shipped.isdisjoint(wheels.SERVER)


def test_requirements_follow_the_platforms_own(tmp_path: Path) -> None:
    """Pins become lower bounds, so that a client may be newer than the platform."""
    stubs, client = map(metadata, wheels.build(tmp_path))

    assert stubs.get_all("Requires-Dist") == [
        "googleapis-common-protos>=1.76.0",
        "grpcio>=1.83.2",
        "protobuf<8,>=7.35.1",
    ]
    assert f"engine-stubs=={stubs['Version']}" in (client.get_all("Requires-Dist") or [])
    assert stubs["License-Expression"] == client["License-Expression"] == "Apache-2.0"


def test_a_failed_build_leaves_the_wheels_of_before(checkout: Path, tmp_path: Path) -> None:
    """When the second wheel cannot be built, the first is not replaced either."""
    out = tmp_path / "dist"
    before = {path.name: path.read_bytes() for path in wheels.build(out, checkout)}
    (checkout / "build/gen/engine/ark/v1/ark_pb2.py").write_text("")
    (checkout / "mesh" / "errors.py").unlink()

    with pytest.raises(wheels.BuildError, match=r"errors\.py is missing"):
        wheels.build(out, checkout)

    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_checkout_without_contracts_says_what_to_do(checkout: Path, tmp_path: Path) -> None:
    """Before the contracts are generated there is nothing to build, and no wheel appears."""
    shutil.rmtree(checkout / "build")
    out = tmp_path / "dist"

    with pytest.raises(wheels.BuildError, match="make setup"):
        wheels.build(out, checkout)

    assert not list(out.iterdir())
