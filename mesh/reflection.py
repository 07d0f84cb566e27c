"""The contract of a running server, by gRPC server reflection; it does not know who carries.

asking = questions()
question = next(asking)
while True:
    try:
        question = asking.send(answer_to(question))
    except StopIteration as end:
        return end.value
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha import reflection_pb2 as pb

from mesh.contract import ContractError, digest_of

MAX_FILES: Final = 10_000
"""Most files of a contract: a server that goes on naming new ones is not believed."""

_OF_GRPC: Final = "grpc."
"""Services of the framework itself: health, reflection."""


@dataclass(frozen=True)
class Contract:
    """What a service serves: full names of its gRPC services, and their files by name.

    It owns the pool of its descriptors: both go together.
    """

    services: tuple[str, ...]
    files: Mapping[str, bytes]

    @cached_property
    def digest(self) -> str:
        """Equal for equal contracts; a service of ours tells it in its registry entry."""
        return digest_of(self.services, self.files)

    @cached_property
    def pool(self) -> DescriptorPool:
        """A pool with the files, and nothing else in it."""
        pool = DescriptorPool()
        for name in _in_order(self.files):
            pool.AddSerializedFile(self.files[name])
        return pool


def questions() -> Generator[pb.ServerReflectionRequest, Any, Contract]:
    """What to ask a server: yields each question, is sent its answer, returns the contract.

    Raises:
        ContractError: the answers make no whole contract.
    """
    try:
        contract = yield from _questions()
        for name in contract.services:
            contract.pool.FindServiceByName(name)
    except (DecodeError, KeyError, TypeError) as error:
        raise ContractError("reflection gives files that do not fit together") from error
    return contract


def only(answers: list[Any]) -> Any:
    """The answer to one question.

    Raises:
        ContractError: there are others, or none.
    """
    if len(answers) != 1:
        raise ContractError("reflection does not answer one question with one answer")
    return answers[0]


def _questions() -> Generator[pb.ServerReflectionRequest, Any, Contract]:
    listed = yield pb.ServerReflectionRequest(list_services="")
    names = (service.name for service in listed.list_services_response.service)
    services = tuple(sorted(name for name in names if not name.startswith(_OF_GRPC)))
    files: dict[str, bytes] = {}
    for name in services:
        files |= _files((yield pb.ServerReflectionRequest(file_containing_symbol=name)))
    while missing := _missing(files):
        for name in missing:
            files |= _files((yield pb.ServerReflectionRequest(file_by_filename=name)))
        if missing == _missing(files) or len(files) > MAX_FILES:
            raise ContractError(f"reflection does not give {', '.join(missing)}")
    return Contract(services, files)


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
