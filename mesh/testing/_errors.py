"""Errors as a client sees them, without a server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

from mesh.errors import DOMAIN, STATUS_DETAILS_KEY, MeshError, status_code


def failure(
    code: grpc.StatusCode,
    reason: str = "",
    message: str = "",
    *,
    metadata: Mapping[str, str] | None = None,
) -> grpc.aio.AioRpcError:
    """What a call ends with when a service refuses it so; `ErrorView.from_rpc` reads it back.

    For teams that call a service and do not have its reasons in Python; where they are at
    hand, a `MeshError` says the same.

    Args:
        code: the gRPC status code.
        reason: name of the reason, as the contract's documentation lists it.
        message: one sentence about the case; the reason or the code by default.
        metadata: facts for programs, of the `ErrorInfo`.
    """
    status = status_pb2.Status(code=code.value[0], message=message or reason or code.value[1])
    info = error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata or {})
    status.details.add().Pack(info)
    return _of_status(status)


def rpc_error(error: Exception) -> grpc.aio.AioRpcError | None:
    """The error of a call that was refused with `error`, anew for each call.

    None: it is no answer of a service.
    """
    if isinstance(error, MeshError):
        return _of_status(error.to_status())
    told: Any = error
    if not isinstance(error, grpc.RpcError) or not hasattr(error, "code"):
        return None
    trailing = tuple(told.trailing_metadata() or ()) if hasattr(told, "trailing_metadata") else ()
    details = told.details() or "" if hasattr(told, "details") else ""
    return _error(told.code(), details, trailing)


def _of_status(status: status_pb2.Status) -> grpc.aio.AioRpcError:
    trailing = ((STATUS_DETAILS_KEY, status.SerializeToString()),)
    return _error(status_code(status.code), status.message, trailing)


def _error(
    code: grpc.StatusCode, details: str, trailing: tuple[tuple[str, str | bytes], ...]
) -> grpc.aio.AioRpcError:
    empty = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(code, empty, grpc.aio.Metadata(*trailing), details=details)
