"""The contract of a server, by gRPC server reflection over a blocking channel.

Version v1alpha is what our own servers serve; v1, whose messages are the same, is asked
where there is no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import grpc
from grpc_reflection.v1alpha import reflection_pb2 as pb

from mesh.reflection import Contract, only, questions

TIMEOUT_S: Final = 5.0
"""Bound of each question."""

_PATHS: Final = tuple(
    f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
    for version in ("v1alpha", "v1")
)


def fetch(channel: grpc.Channel) -> Contract:
    """Ask the server behind `channel` for its services and all their files.

    Raises:
        grpc.RpcError: it cannot be reached, or serves no reflection (UNIMPLEMENTED).
        ContractError: its answers make no whole contract.
    """
    asking = questions()
    ask, answer = _first_answer(channel, next(asking))
    while True:
        try:
            question = asking.send(answer)
        except StopIteration as end:
            contract: Contract = end.value
            return contract
        answer = ask(question)


def _first_answer(
    channel: grpc.Channel, question: pb.ServerReflectionRequest
) -> tuple[_Questions, Any]:
    """How to ask, in the version that the server has, and its answer."""
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
        return only([*call(iter((question,)), timeout=TIMEOUT_S)])
