"""The contract of a server, by gRPC server reflection over a blocking channel.

Version v1alpha is what our own servers serve; v1, whose messages are the same, is asked
where there is no other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import grpc
from google.protobuf import descriptor_pb2
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha import reflection_pb2 as pb

from gateway.reflection import Contract
from mesh.contract import ContractError

TIMEOUT_S: Final = 5.0
"""Bound of each question."""

MAX_FILES: Final = 10_000
"""Most files of a contract: a server that goes on naming new ones is not believed."""

_PATHS: Final = tuple(
    f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
    for version in ("v1alpha", "v1")
)
_OF_GRPC: Final = "grpc."
"""Services of the framework itself: health, reflection."""

_Ask = Callable[[pb.ServerReflectionRequest], Any]


def fetch(channel: grpc.Channel) -> Contract:
    """Ask the server behind `channel` for its services and all their files.

    Raises:
        grpc.RpcError: it cannot be reached, or serves no reflection (UNIMPLEMENTED).
        ContractError: its answers make no whole contract.
    """
    try:
        return _fetched(channel)
    except (DecodeError, KeyError, TypeError) as error:
        raise ContractError("reflection gives files that do not fit together") from error


def _fetched(channel: grpc.Channel) -> Contract:
    ask, listed = _first_answer(channel)
    names = (service.name for service in listed.list_services_response.service)
    services = tuple(sorted(name for name in names if not name.startswith(_OF_GRPC)))
    files: dict[str, bytes] = {}
    for name in services:
        files |= _files(ask(pb.ServerReflectionRequest(file_containing_symbol=name)))
    _complete(files, ask)
    contract = Contract(services, files)
    for name in services:
        contract.pool.FindServiceByName(name)  # KeyError, TypeError
    return contract


def _first_answer(channel: grpc.Channel) -> tuple[_Ask, Any]:
    """How to ask, in the version that the server has, and its list of services."""
    question = pb.ServerReflectionRequest(list_services="")
    *others, last = _PATHS
    for path in others:
        ask = _Questions(channel, path)
        try:
            return ask, ask(question)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise
    ask = _Questions(channel, last)
    return ask, ask(question)


@dataclass(frozen=True, slots=True)
class _Questions:
    """Asks in one version of the protocol: one question, one answer, one stream."""

    channel: grpc.Channel
    path: str

    def __call__(self, question: pb.ServerReflectionRequest) -> Any:
        call = self.channel.stream_stream(
            self.path,
            request_serializer=pb.ServerReflectionRequest.SerializeToString,
            response_deserializer=pb.ServerReflectionResponse.FromString,
        )
        answers = [*call(iter((question,)), timeout=TIMEOUT_S)]
        if len(answers) != 1:
            raise ContractError("reflection does not answer one question with one answer")
        return answers[0]


def _complete(files: dict[str, bytes], ask: _Ask) -> None:
    """Ask for what is imported and was not given along."""
    while missing := _missing(files):
        for name in missing:
            files |= _files(ask(pb.ServerReflectionRequest(file_by_filename=name)))
        if missing == _missing(files) or len(files) > MAX_FILES:
            raise ContractError(f"reflection does not give {', '.join(missing)}")


def _files(answer: Any) -> dict[str, bytes]:
    if answer.HasField("error_response"):
        raise ContractError(f"reflection fails: {answer.error_response.error_message}")
    serialized = answer.file_descriptor_response.file_descriptor_proto
    return {descriptor_pb2.FileDescriptorProto.FromString(file).name: file for file in serialized}


def _missing(files: dict[str, bytes]) -> list[str]:
    parsed = map(descriptor_pb2.FileDescriptorProto.FromString, files.values())
    return sorted({name for file in parsed for name in file.dependency} - files.keys())
