"""What the end of a call says of who was called."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Self

import grpc
from google.protobuf.message import DecodeError
from google.rpc import status_pb2

from mesh.errors import STATUS_DETAILS_KEY, ErrorView

FAILURES: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""Ends that speak against the endpoint. All others are answers, also where they say no."""

FAIR_S: Final = 0.02
"""Who had less time than this to answer, and did not, is not blamed for it."""

NOT_SENT: Final = "failed to connect to all addresses"
"""How gRPC begins to tell that a call never left this process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """How a call failed, as far as that decides whether it may be sent again.

    `is_answered`: a service said so, with our status; another process would say the same.
    `is_unsent`: the call surely never left this process.
    `retry_after_s`: when the service asks to be called again; None when it does not.
    """

    code: grpc.StatusCode
    is_answered: bool = False
    is_unsent: bool = False
    retry_after_s: float | None = None

    @classmethod
    def of(cls, error: Any) -> Self:
        """Read a failed call, of grpc.aio or of blocking grpc."""
        return cls.read(error.code(), error.details(), error.trailing_metadata())

    @classmethod
    def read(
        cls, code: grpc.StatusCode, details: str | None, trailing: Iterable[tuple[str, Any]] | None
    ) -> Self:
        """Read the end of a call that failed."""
        status = next((value for key, value in trailing or () if key == STATUS_DETAILS_KEY), None)
        return cls(
            code=code,
            is_answered=status is not None,
            is_unsent=(details or "").startswith(NOT_SENT),
            retry_after_s=None if status is None else _retry_after_s(status),
        )


def is_unsent(error: Any) -> bool:
    """Whether a call surely never left this process."""
    return (error.details() or "").startswith(NOT_SENT)


def _retry_after_s(raw: bytes) -> float | None:
    try:
        return ErrorView.from_status(status_pb2.Status.FromString(raw)).retry_after_s
    except DecodeError:
        return None
