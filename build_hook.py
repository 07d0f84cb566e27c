"""Generate the contracts' Python: for `make generate`, and before a wheel or an editable install.

The output is `build/gen`, with the packages `engine.*` (our contracts) and
`buf.validate` (the rules they use). It is a build product and never committed.
"""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a script, without the build back end
    BuildHookInterface = object  # type: ignore[assignment,misc]

WELL_KNOWN = ("descriptor", "duration", "timestamp", "field_mask")


def _third_party(target: Path) -> None:
    """Write the descriptors of `buf/validate`, which no wheel ships as source."""
    from google.protobuf import descriptor_pb2
    from protovalidate._gen.buf.validate import validate_pb

    files = descriptor_pb2.FileDescriptorSet()
    for name in WELL_KNOWN:
        module = importlib.import_module(f"google.protobuf.{name}_pb2")
        module.DESCRIPTOR.CopyToProto(files.file.add())
    files.file.add().ParseFromString(validate_pb.FieldRules.desc().file.proto.to_binary())
    target.write_bytes(files.SerializeToString())


def protoc(root: Path, *arguments: str) -> None:
    """Run protoc over the contracts of `root` with the include paths they need."""
    import google.api.annotations_pb2 as annotations
    import grpc_tools

    third_party = root / "build" / "third_party.binpb"
    third_party.parent.mkdir(parents=True, exist_ok=True)
    _third_party(third_party)
    protos = root / "protos"
    sources = sorted(str(path.relative_to(protos)) for path in protos.rglob("*.proto"))
    includes = (
        protos,
        Path(str(annotations.__file__)).parents[2],
        Path(str(grpc_tools.__file__)).parent / "_proto",
    )
    command = [sys.executable, "-m", "grpc_tools.protoc"]
    command += [f"-I{path}" for path in includes]
    command += [f"--descriptor_set_in={third_party}", *arguments, *sources]
    plugins = str(Path(sys.executable).parent)  # protoc-gen-mypy stands beside the interpreter
    path = os.pathsep.join([plugins, os.environ.get("PATH", "")])
    subprocess.run(command, check=True, env={**os.environ, "PATH": path})


def generate(root: Path) -> Path:
    """Generate into `build/gen`, replacing it as a whole, and return that folder."""
    final, fresh = root / "build" / "gen", root / "build" / "gen.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    outputs = ("python", "grpc_python", "mypy", "mypy_grpc")
    protoc(root, *(f"--{kind}_out={fresh}" for kind in outputs), "buf/validate/validate.proto")
    for package in fresh.rglob("*_pb2.py"):
        (package.parent / "py.typed").touch()
    shutil.rmtree(final, ignore_errors=True)
    fresh.rename(final)
    return final


def image(root: Path) -> Path:
    """Write `build/image.binpb`: all contracts with comments, for lint and breaking checks."""
    target = root / "build" / "image.binpb"
    protoc(root, "--include_imports", "--include_source_info", f"--descriptor_set_out={target}")
    return target


class ContractsBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Hatch hook: contracts are generated first and go into the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        generated = generate(Path(self.root))
        if version == "standard":  # in an editable install it would be a stale shadow
            build_data["force_include"].update(
                {
                    str(generated / "engine"): "engine",
                    str(generated / "buf"): "buf",
                    str(Path(self.root) / "protos"): "cli/_protos",  # for `engine stubs export`
                }
            )


if __name__ == "__main__":
    print({"generate": generate, "image": image}[sys.argv[1]](Path(__file__).parent))
