"""Writes the contracts for teams that generate their own client.

The sources carry the comments. `engine.binpb` holds the descriptors of all of
them and of everything they import, `buf/validate` included, whose source no
Python distribution ships: with it protoc needs nothing from elsewhere.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet

DESCRIPTORS = "engine.binpb"
README = "README.md"

_HERE = Path(__file__).parent
_INSTALLED, _CHECKOUT = _HERE / "_protos", _HERE.parent / "protos"


def export_protos(out: Path) -> list[Path]:
    """Write contracts, imports, descriptors and a README to `out`; returns the paths written.

    `out` is created when missing. Files of the same names are replaced.
    """
    sources = _sources()
    files = list(_with_imports(_descriptor(name) for name in sources))
    googles = {file.name: _google_source(file) for file in files if _is_google_api(file)}
    written = [_copy(path, out / name) for name, path in sorted({**sources, **googles}.items())]
    descriptors = FileDescriptorSet()
    for file in files:
        file.CopyToProto(descriptors.file.add())
    (out / DESCRIPTORS).write_bytes(descriptors.SerializeToString(deterministic=True))
    readme = _copy(_HERE / "contracts_readme.md", out / README)
    return [*written, out / DESCRIPTORS, readme]


def _sources() -> dict[str, Path]:
    """Our contracts by import name: from the wheel's data, or from the checkout."""
    root = _INSTALLED if _INSTALLED.exists() else _CHECKOUT
    return {str(path.relative_to(root)): path for path in sorted(root.rglob("*.proto"))}


def _descriptor(name: str) -> FileDescriptor:
    module = import_module(name.removesuffix(".proto").replace("/", ".") + "_pb2")
    descriptor: FileDescriptor = module.DESCRIPTOR
    return descriptor


def _with_imports(files: Iterable[FileDescriptor]) -> Iterator[FileDescriptor]:
    """Each file once, after all that it imports."""
    seen: set[str] = set()

    def visit(file: FileDescriptor) -> Iterator[FileDescriptor]:
        if file.name in seen:
            return
        seen.add(file.name)
        for imported in file.dependencies:
            yield from visit(imported)
        yield file

    for file in files:
        yield from visit(file)


def _is_google_api(file: FileDescriptor) -> bool:
    """Whether it is one of Google's that protoc does not bring along itself."""
    return file.name.startswith("google/") and not file.name.startswith("google/protobuf/")


def _google_source(file: FileDescriptor) -> Path:
    """The source beside its module in googleapis-common-protos."""
    module = import_module(file.name.removesuffix(".proto").replace("/", ".") + "_pb2")
    assert module.__file__ is not None
    return Path(module.__file__).parent / Path(file.name).name


def _copy(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return target
