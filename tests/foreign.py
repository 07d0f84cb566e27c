"""Services of other houses: plain gRPC servers in the registry, with contracts of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import google.api.annotations_pb2
import grpc
import grpc_tools
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.rpc import status_pb2
from grpc_reflection.v1alpha import reflection

from mesh.app import host_id
from mesh.registry import Entry
from mesh.testing import Mesh

ROOT = Path(__file__).parents[1]
DETAILS = "grpc-status-details-bin"

Answer = Callable[[bytes], bytes]
"""Answers a request, both as they are on the wire; raises `Refused`."""


class Refused(Exception):  # noqa: N818 - says what it is
    """The call ends with this status, details and all."""

    def __init__(self, status: status_pb2.Status) -> None:
        self.status = status
        super().__init__(status.message)


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, methods: Mapping[str, Answer]) -> None:
        self._methods = methods

    def service(self, handler_call_details: Any) -> Any:
        answer = self._methods.get(handler_call_details.method)
        if answer is None:
            return None

        async def handle(request: bytes, context: Any) -> bytes:
            try:
                return answer(request)
            except Refused as error:
                details = ((DETAILS, error.status.SerializeToString()),)
                code = next(c for c in grpc.StatusCode if c.value[0] == error.status.code)
                await context.abort(code, error.status.message, details)
                raise

        return grpc.unary_unary_rpc_method_handler(handle)


def described(folder: Path, *names: str) -> descriptor_pb2.FileDescriptorSet:
    """The descriptors of contracts in a folder, with all that they import."""
    includes = (
        folder,
        ROOT / "protos",
        Path(str(google.api.annotations_pb2.__file__)).parents[2],
        Path(str(grpc_tools.__file__)).parent / "_proto",
    )
    command = [sys.executable, "-m", "grpc_tools.protoc", *(f"-I{path}" for path in includes)]
    with tempfile.NamedTemporaryFile(suffix=".binpb") as target:
        command += ["--include_imports", f"--descriptor_set_out={target.name}", *names]
        subprocess.run(command, check=True)
        return descriptor_pb2.FileDescriptorSet.FromString(target.read())


def pool_of(files: descriptor_pb2.FileDescriptorSet) -> DescriptorPool:
    """A pool with these descriptors and no others."""
    pool = DescriptorPool()
    for file in files.file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


@asynccontextmanager
async def foreign(
    mesh: Mesh,
    name: str,
    pool: DescriptorPool,
    services: Sequence[str],
    methods: Mapping[str, Answer],
) -> AsyncIterator[None]:
    """Serve contracts under a name of the registry while the context is entered.

    Args:
        mesh: where it is registered.
        name: its name in the registry.
        pool: has the contracts; reflection tells them.
        services: full names of the gRPC services.
        methods: answers by the path of the method, "/package.Service/Method".
    """
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Handlers(methods),))
    reflection.enable_server_reflection((*services, reflection.SERVICE_NAME), server, pool)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    entry = Entry(
        service=name,
        instance=f"{name}-{port}",
        address=f"127.0.0.1:{port}",
        socket="",
        host_id=host_id(),
        pid=os.getpid(),
        version="1",
    )
    await mesh.registry.register(entry)
    try:
        yield
    finally:
        await mesh.registry.withdraw(entry)
        await server.stop(None)
