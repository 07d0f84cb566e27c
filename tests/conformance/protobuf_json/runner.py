"""Builds the conformance runner of protobuf from Debian's source package.

Nothing is installed and no file of apt is changed: sources and libraries are fetched with
lists of their own and unpacked beside them. What was built stays until `make clean`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import grpc_tools

VERSION: Final = "3.21.12"
BINARIES: Final = ("libprotobuf-dev", "libprotobuf32", "libprotoc32", "protobuf-compiler")
MESSAGES: Final = tuple(f"google/protobuf/test_messages_proto{n}.proto" for n in (2, 3))
UNITS: Final = (
    "conformance_test.cc",
    "conformance_test_main.cc",
    "conformance_test_runner.cc",
    "binary_json_conformance_suite.cc",
    "text_format_conformance_suite.cc",
    "third_party/jsoncpp/jsoncpp.cpp",
)


class BuildError(Exception):
    """The runner cannot be built; the text says what is missing."""


class Workshop:
    """The folder in which the runner is fetched and built."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.runner = self.folder / "conformance_test_runner"
        self.contract = self.folder / "contract.binpb"
        self._root = self.folder / "root"
        self._source = self.folder / f"protobuf-{VERSION}"
        self._objects = self.folder / "objects"

    def build(self) -> None:
        """Fetch and build what is not there yet.

        Raises:
            BuildError: a tool or a package is missing, or something does not compile.
        """
        if not self.runner.exists():
            self._fetch()
            self._compile()
        self._describe()

    def _fetch(self) -> None:
        if not shutil.which("apt-get") or not shutil.which("g++"):
            raise BuildError("It takes a Debian with apt-get and g++ (package build-essential)")
        shutil.rmtree(self.folder, ignore_errors=True)
        downloads = self.folder / "downloads"
        downloads.mkdir(parents=True)
        apt = self._apt()
        _run([*apt, "update"])
        _run([*apt, "source", "--download-only", "protobuf"], cwd=downloads)
        _run([*apt, "download", *BINARIES], cwd=downloads)
        source = downloads / f"protobuf_{VERSION}.orig.tar.gz"
        if not source.exists():
            raise BuildError(f"This Debian has another protobuf than {VERSION}, that of bookworm")
        with tarfile.open(source) as archive:
            archive.extractall(self.folder, filter="data")
        for package in downloads.glob("*.deb"):
            _run(["dpkg-deb", "-x", str(package), str(self._root)])

    def _apt(self) -> list[str]:
        """apt-get with lists of its own, in which the machine's mirrors are, with sources too."""
        form = "$(REPO_URI) $(RELEASE) $(COMPONENT)"
        targets = _run(["apt-get", "indextargets", "--no-release-info", "--format", form])
        mirrors = [line for line in sorted(set(targets.split("\n"))) if line.endswith(" main")]
        sources = self.folder / "apt" / "sources.list"
        (sources.parent / "lists" / "partial").mkdir(parents=True)
        (sources.parent / "cache" / "archives" / "partial").mkdir(parents=True)
        sources.write_text("".join(f"deb {m}\ndeb-src {m}\n" for m in mirrors))
        options = {
            "Dir::Etc::sourcelist": sources,
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State::lists": sources.parent / "lists",
            "Dir::Cache": sources.parent / "cache",
            "APT::Sandbox::User": "",
        }
        return ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]

    def _compile(self) -> None:
        """Compile and link by hand: the package's own target leaves a library out."""
        conformance, source = self._source / "conformance", self._source / "src"
        self._objects.mkdir(exist_ok=True)
        protos = [conformance / "conformance.proto", *(source / name for name in MESSAGES)]
        libraries = next((self._root / "usr" / "lib").glob("*/libprotobuf.a")).parent
        _run(
            [
                str(self._root / "usr" / "bin" / "protoc"),
                *(f"-I{path}" for path in (conformance, source)),
                f"--cpp_out={self._objects}",
                *map(str, protos),
            ],
            env={**os.environ, "LD_LIBRARY_PATH": str(libraries)},
        )
        units = [*(conformance / name for name in UNITS), *self._objects.rglob("*.pb.cc")]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(self._object, units))
        linked = [*map(str, objects), str(libraries / "libprotobuf.a"), "-l:libz.so.1"]
        _run(["g++", *linked, "-lpthread", "-o", str(self.runner)])

    def _object(self, unit: Path) -> Path:
        found = self._objects / f"{unit.name}.o"
        conformance = self._source / "conformance"
        includes = (self._objects, self._root / "usr" / "include", conformance)
        jsoncpp = (conformance / UNITS[-1]).parent
        flags = [f"-I{path}" for path in (*includes, jsoncpp, self._source / "src")]
        _run(["g++", "-O0", "-std=c++14", *flags, "-c", str(unit), "-o", str(found)])
        return found

    def _describe(self) -> None:
        """Write the descriptors of the runner's protocol and of the service under test."""
        includes = (
            Path(__file__).parent,
            self._messages(),
            Path(str(grpc_tools.__file__)).parent / "_proto",
            *(
                Path(path)
                for path in sys.path
                if (Path(path) / "google/api/httpbody.proto").exists()
            ),
        )
        _run(
            [
                *(sys.executable, "-m", "grpc_tools.protoc", "--include_imports"),
                *(f"-I{path}" for path in includes),
                f"--descriptor_set_out={self.contract}",
                *("conformance.proto", "json_service.proto"),
            ]
        )

    def _messages(self) -> Path:
        """A folder with the package's contracts alone: the well-known types come with protoc."""
        folder = self.folder / "protos"
        (folder / MESSAGES[0]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self._source / "conformance" / "conformance.proto", folder)
        for name in MESSAGES:
            shutil.copy(self._source / "src" / name, folder / name)
        return folder


def _run(command: list[str], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{' '.join(command)}:\n{done.stderr.strip()}")
    return done.stdout
