"""A gRPC server that is not ours: all four kinds of calls, its contract by reflection alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any

import grpc
from google.protobuf import any_pb2, descriptor_pb2, message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha import reflection, reflection_pb2

SERVICE = "testing.echo.v1.EchoService"

SETTLED_S = 0.2
"""How long it may take until a server hears that a call was cancelled."""

_FIELD = descriptor_pb2.FieldDescriptorProto
_KINDS = {
    "Say": (False, False),
    "Count": (False, True),
    "Sum": (True, False),
    "Chat": (True, True),
    "Fail": (False, False),
    "Wrap": (False, False),
}


def pool() -> DescriptorPool:
    """The contract, with no generated code of it anywhere."""
    file = descriptor_pb2.FileDescriptorProto(
        name="testing/echo.proto", package="testing.echo.v1", syntax="proto3"
    )
    file.dependency.append("google/protobuf/any.proto")
    word = file.message_type.add(name="Word")
    word.field.add(name="text", number=1, type=_FIELD.TYPE_STRING, label=1)
    word.field.add(name="number", number=2, type=_FIELD.TYPE_INT64, label=1)
    word.field.add(
        name="packed", number=3, type=_FIELD.TYPE_MESSAGE, label=1, type_name=".google.protobuf.Any"
    )
    service = file.service.add(name="EchoService")
    for name, (client, server) in _KINDS.items():
        service.method.add(
            name=name,
            input_type=".testing.echo.v1.Word",
            output_type=".testing.echo.v1.Word",
            client_streaming=client,
            server_streaming=server,
        )
    made = DescriptorPool()
    made.AddSerializedFile(any_pb2.DESCRIPTOR.serialized_pb)
    made.Add(file)
    return made


class Echo:
    """The server's side. `metadata` is that of each call; `sums` are those of whole streams."""

    def __init__(self, contract: DescriptorPool) -> None:
        found = contract.FindMessageTypeByName("testing.echo.v1.Word")
        self.word: Any = message_factory.GetMessageClass(found)
        self.metadata: list[dict[str, str | bytes]] = []
        self.sums: list[int] = []

    def say(self, request: Any, context: grpc.ServicerContext) -> Any:
        """The same back, with metadata before and after it."""
        self._note(context)
        context.send_initial_metadata((("x-server", "echo"),))
        context.set_trailing_metadata((("x-cost", "1"),))
        return request

    def count(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        """As many words as the number says."""
        self._note(context)
        for number in range(request.number):
            yield self.word(number=number)

    def sum(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
        """The sum of all numbers; below 0 the call is cancelled from here."""
        self._note(context)
        total = sum(request.number for request in requests)
        if not self._is_whole(context):
            return self.word()
        self.sums.append(total)
        if total < 0:
            context.abort(grpc.StatusCode.CANCELLED, "below 0")
        return self.word(number=total)

    @staticmethod
    def _is_whole(context: grpc.ServicerContext) -> bool:
        """Whether the caller ended the stream himself.

        gRPC may end the requests of a cancelled call just before it tells that it was cancelled.
        """
        cancelled = Event()
        return context.add_callback(cancelled.set) and not cancelled.wait(SETTLED_S)

    def chat(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        """Each word back as it comes."""
        self._note(context)
        yield from requests

    def fail(self, _request: Any, context: grpc.ServicerContext) -> Any:
        """No word back."""
        context.abort(grpc.StatusCode.DATA_LOSS, "all gone")

    def wrap(self, _request: Any, _context: grpc.ServicerContext) -> Any:
        """A word that holds a message of a type that nobody knows."""
        answer = self.word()
        answer.packed.type_url = "type.googleapis.com/nowhere.Thing"
        answer.packed.value = b"\x08\x01"
        return answer

    def _note(self, context: grpc.ServicerContext) -> None:
        self.metadata.append(dict(context.invocation_metadata()))


@contextmanager
def serve(*, version: str = "v1alpha", answers: str = "") -> Iterator[tuple[str, Echo]]:
    """The server's address and its side, while the block runs.

    Its reflection is of one version, and answers all files, or "single" ones as they are
    asked for, or the first alone ("partial"), or "broken" ones, or none ("silent").
    """
    contract = pool()
    echo = Echo(contract)
    server = grpc.server(ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((_handlers(echo), _reflection(contract, version, answers)))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}", echo
    finally:
        server.stop(0).wait()


def _handlers(echo: Echo) -> grpc.GenericRpcHandler:
    make = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    coded = {
        "request_deserializer": echo.word.FromString,
        "response_serializer": echo.word.SerializeToString,
    }
    return grpc.method_handlers_generic_handler(
        SERVICE,
        {name: make[kind](getattr(echo, name.lower()), **coded) for name, kind in _KINDS.items()},
    )


def _reflection(contract: DescriptorPool, version: str, answers: str) -> grpc.GenericRpcHandler:
    servicer = reflection.ReflectionServicer([SERVICE], pool=contract)
    change = _CHANGES.get(answers, lambda answer: [answer])

    def answer(questions: Any, context: Any) -> Iterator[Any]:
        for whole in servicer.ServerReflectionInfo(questions, context):
            yield from change(whole) if whole.HasField("file_descriptor_response") else [whole]

    handler = grpc.stream_stream_rpc_method_handler(
        answer,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    name = f"grpc.reflection.{version}.ServerReflection"
    return grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": handler})


def _single(answer: Any) -> list[Any]:
    files = answer.file_descriptor_response.file_descriptor_proto
    del files[1:]
    return [answer]


def _partial(answer: Any) -> list[Any]:
    if answer.original_request.file_by_filename:
        answer.error_response.error_code = grpc.StatusCode.NOT_FOUND.value[0]
    return _single(answer)


def _broken(answer: Any) -> list[Any]:
    files = answer.file_descriptor_response.file_descriptor_proto
    files[:] = [b"\xff\xff" for _ in files]
    return [answer]


_CHANGES: dict[str, Callable[[Any], list[Any]]] = {
    "single": _single,
    "partial": _partial,
    "broken": _broken,
    "silent": lambda _: [],
}
