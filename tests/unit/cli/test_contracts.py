"""Other teams can generate clients from what `engine stubs export` writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from typer.testing import CliRunner

from cli.contracts import export_protos
from cli.stubs import app

CUSTOMER = "engine/customer/v1/customer.proto"


def protoc(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "grpc_tools.protoc", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_contract_is_exported_with_its_comments(tmp_path: Path) -> None:
    """The sources are those that the platform is built from, byte by byte."""
    sources = Path(__file__).parents[3] / "protos"
    names = {str(path.relative_to(sources)) for path in sources.rglob("*.proto")}

    written = export_protos(tmp_path)

    assert names <= {str(path.relative_to(tmp_path)) for path in written}
    assert (tmp_path / CUSTOMER).read_bytes() == (sources / CUSTOMER).read_bytes()


def test_the_paths_answered_are_the_files_written(tmp_path: Path) -> None:
    """Nothing is written that is not told, and nothing told that is not there."""
    written = export_protos(tmp_path / "new" / "folder")

    assert sorted(written) == sorted(p for p in tmp_path.rglob("*") if p.is_file())


def test_descriptors_stand_after_all_they_import(tmp_path: Path) -> None:
    """A reader that adds the files in order never meets an unknown import."""
    export_protos(tmp_path)
    files = FileDescriptorSet.FromString((tmp_path / "engine.binpb").read_bytes()).file
    pool = DescriptorPool()

    for file in files:
        pool.Add(file)

    assert pool.FindFileByName(CUSTOMER).package == "engine.customer.v1"
    assert "buf/validate/validate.proto" in {file.name for file in files}


@pytest.mark.parametrize("includes", [("-I.",), ()], ids=["sources", "descriptors alone"])
def test_the_export_compiles_without_anything_else(
    tmp_path: Path, includes: tuple[str, ...]
) -> None:
    """protoc accepts the exported set in a folder of its own, with and without the sources."""
    contracts, generated = tmp_path / "contracts", tmp_path / "generated"
    generated.mkdir()
    names = [str(path.relative_to(contracts)) for path in export_protos(contracts)]
    ours = [name for name in names if name.startswith("engine/")]

    protoc(
        contracts,
        *includes,
        "--descriptor_set_in=engine.binpb",
        f"--python_out={generated}",
        f"--grpc_python_out={generated}",
        *ours,
    )

    assert len(list(generated.rglob("*_pb2.py"))) == len(ours)


def test_the_export_is_the_same_each_time(tmp_path: Path) -> None:
    """The descriptors have stable bytes, so that a copy can be compared."""
    first, second = (export_protos(tmp_path / name) for name in ("first", "second"))

    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_the_command_refuses_a_folder_with_files(tmp_path: Path) -> None:
    """What is there is never overwritten."""
    (tmp_path / "mine.txt").write_text("mine")

    result = CliRunner().invoke(app, ["export", "--out", str(tmp_path)])

    assert result.exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_command_says_how_much_it_wrote(tmp_path: Path) -> None:
    """The number of files and the folder are told."""
    out = tmp_path / "contracts"

    result = CliRunner().invoke(app, ["export", "--out", str(out)])

    assert result.exit_code == 0
    assert f"files in {out}" in result.output
