"""A contract with all four kinds of methods, and its stub as it would be generated."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.wrappers_pb2 import StringValue

_KINDS = {
    "Say": (False, False),
    "Recite": (False, True),
    "Listen": (True, False),
    "Chat": (True, True),
}


def _describe() -> None:
    file = descriptor_pb2.FileDescriptorProto(
        name="testing_talk.proto", package="kit.v1", syntax="proto3"
    )
    file.dependency.append("google/protobuf/wrappers.proto")
    service = file.service.add(name="TalkService")
    for name, (client_streaming, server_streaming) in _KINDS.items():
        service.method.add(
            name=name,
            input_type=".google.protobuf.StringValue",
            output_type=".google.protobuf.StringValue",
            client_streaming=client_streaming,
            server_streaming=server_streaming,
        )
    descriptor_pool.Default().Add(file)


_describe()


class TalkServiceStub:
    """One method of each kind."""

    def __init__(self, channel: Any) -> None:
        names = {
            (False, False): "unary_unary",
            (False, True): "unary_stream",
            (True, False): "stream_unary",
            (True, True): "stream_stream",
        }
        for name, kind in _KINDS.items():
            make = getattr(channel, names[kind])
            method = make(
                f"/kit.v1.TalkService/{name}",
                request_serializer=StringValue.SerializeToString,
                response_deserializer=StringValue.FromString,
                _registered_method=True,
            )
            setattr(self, name, method)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


def text(value: str) -> StringValue:
    """A message of the contract."""
    return StringValue(value=value)
