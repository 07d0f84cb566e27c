"""Methods of bytes, for what no generated stub would send or take."""

from __future__ import annotations

from typing import Any, Final

import grpc

SERVICE: Final = "mesh.testing.calls.v1.RawService"


def path(method: str) -> str:
    """The path of one of the methods below."""
    return f"/{SERVICE}/{method}"


def _refuse(_message: Any) -> bytes:
    raise ValueError("refused by the serializer")


async def _echo(request: Any, context: Any) -> Any:
    return request


async def _fill(request: bytes, context: Any) -> bytes:
    return bytes(int.from_bytes(request, "big"))


def _answering(answer: Any) -> grpc.RpcMethodHandler[Any, Any]:
    async def handler(request: Any, context: Any) -> Any:
        return answer

    return grpc.unary_unary_rpc_method_handler(handler)


def _blocking(request: bytes, context: Any) -> bytes:
    context.set_trailing_metadata((("x-blocking", "yes"),))
    return request


def _blocking_abort(request: bytes, context: Any) -> bytes:
    context.abort(grpc.StatusCode.ABORTED, "by a thread")
    return request


class ByMetadata(grpc.GenericRpcHandler):
    """Chooses the handler of a call by its metadata, as a proxy may."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        if details.method != path("Chosen"):
            return None
        return _answering(str(dict(details.invocation_metadata or ()).get("version")))


RAW: Final = grpc.method_handlers_generic_handler(
    SERVICE,
    {
        "Echo": grpc.unary_unary_rpc_method_handler(_echo),
        "Unreadable": grpc.unary_unary_rpc_method_handler(_echo, request_deserializer=_refuse),
        "Unwritable": grpc.unary_unary_rpc_method_handler(_echo, response_serializer=_refuse),
        "Text": grpc.unary_unary_rpc_method_handler(_echo, request_deserializer=bytes.decode),
        "Fill": grpc.unary_unary_rpc_method_handler(_fill),
        "Nothing": _answering(None),
        "Words": _answering("Wörter"),
        "Number": _answering(5),
        "Array": _answering(bytearray(b"x")),
        "Blocking": grpc.unary_unary_rpc_method_handler(_blocking),
        "BlockingAbort": grpc.unary_unary_rpc_method_handler(_blocking_abort),
    },
)
