"""The suite's own contract, compiled when it is first needed: a platform must not ship it."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import grpc_tools

PACKAGE = "mesh.testing.calls.v1"


@cache
def modules() -> tuple[Any, Any]:
    """The generated messages and stubs, as a team that uses grpcio has them."""
    with tempfile.TemporaryDirectory() as folder:
        includes = (Path(__file__).parent, Path(str(grpc_tools.__file__)).parent / "_proto")
        command = [sys.executable, "-m", "grpc_tools.protoc", *(f"-I{path}" for path in includes)]
        outputs = (f"--python_out={folder}", f"--grpc_python_out={folder}")
        subprocess.run([*command, *outputs, "calls.proto"], check=True)
        sys.path.insert(0, folder)
        try:
            return importlib.import_module("calls_pb2"), importlib.import_module("calls_pb2_grpc")
        finally:
            sys.path.remove(folder)


def messages() -> Any:
    return modules()[0]


def stubs() -> Any:
    return modules()[1]
