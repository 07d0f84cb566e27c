"""The contracts of a running service, by gRPC server reflection."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import grpc
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from mesh.contract import ContractError

_OF_GRPC = "grpc."
"""Services of the framework itself: health and reflection."""


@dataclass(frozen=True)
class Contract:
    """What a service serves: full names of its gRPC services, and their files by name.

    It owns the pool of its descriptors: both go together.
    """

    services: tuple[str, ...]
    files: Mapping[str, bytes]

    @cached_property
    def digest(self) -> str:
        """Equal for equal contracts."""
        state = hashlib.sha256(repr(self.services).encode())
        for name in sorted(self.files):
            state.update(hashlib.sha256(self.files[name]).digest())
        return state.hexdigest()

    @cached_property
    def pool(self) -> DescriptorPool:
        """A pool with the files, and nothing else in it."""
        pool = DescriptorPool()
        for name in _in_order(self.files):
            pool.AddSerializedFile(self.files[name])
        return pool


async def fetch(channel: grpc.aio.Channel, *, timeout_s: float) -> Contract:
    """Ask the service behind `channel` for its contract.

    Raises:
        grpc.aio.AioRpcError: it cannot be reached.
        ContractError: its answers make no whole contract.
    """
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)

    async def ask(**question: str) -> Any:
        request = reflection_pb2.ServerReflectionRequest(**question)
        call = stub.ServerReflectionInfo(iter((request,)), timeout=timeout_s)
        answers = [answer async for answer in call]
        if len(answers) != 1:
            raise ContractError("reflection does not answer one question with one answer")
        return answers[0]

    listed = await ask(list_services="")
    services = tuple(
        sorted(
            service.name
            for service in listed.list_services_response.service
            if not service.name.startswith(_OF_GRPC)
        )
    )
    files: dict[str, bytes] = {}
    for name in services:
        files |= _files(await ask(file_containing_symbol=name))
    while missing := _missing(files):
        for name in missing:
            files |= _files(await ask(file_by_filename=name))
        if missing == _missing(files):
            raise ContractError(f"reflection does not give {', '.join(missing)}")
    return _checked(Contract(services, files))


def _checked(contract: Contract) -> Contract:
    try:
        for name in contract.services:
            contract.pool.FindServiceByName(name)
    except (TypeError, KeyError) as error:
        raise ContractError("reflection gives files that do not fit together") from error
    return contract


def _files(answer: Any) -> dict[str, bytes]:
    if answer.HasField("error_response"):
        raise ContractError(f"reflection fails: {answer.error_response.error_message}")
    serialized = answer.file_descriptor_response.file_descriptor_proto
    return {_parsed(file).name: file for file in serialized}


def _missing(files: Mapping[str, bytes]) -> list[str]:
    needed = {name for file in files.values() for name in _parsed(file).dependency}
    return sorted(needed - files.keys())


def _in_order(files: Mapping[str, bytes]) -> list[str]:
    """Names such that every file comes after what it imports."""
    ordered: dict[str, None] = {}

    def visit(name: str) -> None:
        if name not in ordered:
            for dependency in _parsed(files[name]).dependency:
                visit(dependency)
            ordered[name] = None

    for name in sorted(files):
        visit(name)
    return list(ordered)


def _parsed(serialized: bytes) -> descriptor_pb2.FileDescriptorProto:
    return descriptor_pb2.FileDescriptorProto.FromString(serialized)
