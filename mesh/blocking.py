"""A blocking channel, for scripts, command lines and threads of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import grpc

from mesh.context import Metadata

with suppress(ImportError):  # grpc's own; it would at the first channel, while somebody waits
    import grpc._channel
    import grpc._interceptor

_OPTIONS = (
    ("grpc.max_receive_message_length", 16 << 20),
    ("grpc.max_send_message_length", 16 << 20),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.use_local_subchannel_pool", 1),
)


@contextmanager
def blocking_channel(
    target: str, proofs: Callable[[], Metadata] = tuple, *, timeout_s: float = 10.0
) -> Iterator[grpc.Channel]:
    """A `grpc.Channel` to `target` whose calls carry `proofs`, open within the block.

    Args:
        target: gRPC address: "host:port" or "unix:/path".
        proofs: asked at each call: `mesh.channel.bearer(token)`, say.
        timeout_s: bound of calls that state none.
    """
    with grpc.insecure_channel(target, options=_OPTIONS) as channel:
        yield grpc.intercept_channel(channel, _Proofs(proofs, timeout_s))


class _Details(NamedTuple):
    """What grpc asks of an interceptor's call details."""

    method: str
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: Any
    compression: Any


class _Proofs(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Adds proofs and a bound to each call."""

    def __init__(self, proofs: Callable[[], Metadata], timeout_s: float) -> None:
        self._proofs = proofs
        self._timeout_s = timeout_s

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(self._with_proofs(details), request)

    def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(self._with_proofs(details), request)

    def _with_proofs(self, details: Any) -> _Details:
        return _Details(
            method=details.method,
            timeout=self._timeout_s if details.timeout is None else details.timeout,
            metadata=[*self._proofs(), *(details.metadata or ())],
            credentials=details.credentials,
            wait_for_ready=details.wait_for_ready,
            compression=details.compression,
        )
