"""What it means when another centre cannot be asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import grpc

from centers.reach.errors import ReachReason
from mesh.errors import MeshError

RETRY_AFTER_S: Final = 1.0

TIMEOUT_S: Final = 1.5
"""The longest that a question which many share is under way, whoever waits for it."""

_PASSING: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})


def is_passing(error: grpc.aio.AioRpcError) -> bool:
    """Whether the same call may succeed later."""
    return error.code() in _PASSING


@contextmanager
def gate(centre: str) -> Iterator[None]:
    """Ask a centre that keeps a gate: without its answer nothing is admitted.

    Raises:
        MeshError: GATE_UNAVAILABLE, in place of a call that may succeed later.
    """
    try:
        yield
    except grpc.aio.AioRpcError as error:
        if not is_passing(error):
            raise
        raise MeshError(
            ReachReason.GATE_UNAVAILABLE,
            metadata={"centre": centre},
            retry_after_s=RETRY_AFTER_S,
        ) from error
