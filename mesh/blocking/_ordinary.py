"""Methods of a blocking channel whose calls go over plain gRPC: streams, in either direction."""

from __future__ import annotations

from typing import Any, Final

from mesh.blocking._plain import Serializers
from mesh.blocking._sender import Sender

_REST: Final = ("credentials", "wait_for_ready", "compression")
"""What may be given by place after time-out and metadata."""


class Ordinary:
    """A method with a stream; called as grpc's own, which it passes calls on to."""

    def __init__(self, sender: Sender, kind: str, path: str, serializers: Serializers) -> None:
        self._sender = sender
        self._kind = kind
        self._path = path
        self._serializers = serializers

    def __call__(self, request: Any, *given: Any, **named: Any) -> Any:
        return self._bound()(request, **self._options(*given, **named))

    def with_call(self, request: Any, *given: Any, **named: Any) -> Any:
        """Answer the response and the call."""
        return self._bound().with_call(request, **self._options(*given, **named))

    def future(self, request: Any, *given: Any, **named: Any) -> Any:
        """Begin the call."""
        return self._bound().future(request, **self._options(*given, **named))

    def _bound(self) -> Any:
        plain, targets = self._sender.process.plain, self._sender.targets()
        return plain.bound(self._kind, self._path, self._serializers, plain.choose(targets))

    def _options(
        self, timeout: float | None = None, metadata: Any = None, *rest: Any, **named: Any
    ) -> dict[str, Any]:
        return {
            "timeout": self._sender.timeout_s(timeout),
            "metadata": self._sender.pairs(metadata),
            **dict(zip(_REST, rest, strict=False)),
            **named,
        }
