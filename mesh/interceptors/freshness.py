"""Holds calls to the news of ended rights: without it nothing is changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from mesh.call import Call, Check, Guard, Handler
from mesh.contract import Method
from mesh.errors import MeshError, MeshReason
from mesh.tokens import TokenVerifier


class FreshnessInterceptor(Guard):
    """Refuses a user's writes while no news comes in, and ends streams whose user's right did.

    Reads go on, and so do calls that a service makes for itself: its right is not the
    identity centre's to end. A stream is looked at whenever it answers, for it may have
    begun long ago.
    """

    def __init__(self, verifier: TokenVerifier) -> None:
        self._verifier = verifier

    def check(self, method: Method) -> Check | None:
        if method.policy.anonymous or method.read_only:
            return None
        pulse = self._verifier.pulse

        def write(call: Call, request: Any) -> None:  # noqa: ARG001 - of every check
            if call.context.principal is not None and pulse.is_silent:
                raise MeshError(MeshReason.RIGHTS_UNCERTAIN)

        return write

    def bind(self, method: Method, call_next: Handler) -> Handler:
        if method.server_streaming and not method.policy.anonymous:
            return self._stream(call_next, reads=method.read_only)
        return super().bind(method, call_next)

    def _stream(self, call_next: Handler, *, reads: bool) -> Handler:
        async def stream(call: Call, request: Any) -> Any:
            self._hold(call, reads=reads)
            answers = await call_next(call, request)
            return answers if call.context.principal is None else held(call, answers)

        async def held(call: Call, answers: AsyncIterator[Any]) -> AsyncIterator[Any]:
            async for answer in answers:
                self._hold(call, reads=reads)
                yield answer

        return stream

    def _hold(self, call: Call, *, reads: bool) -> None:
        """Refuse what the user may not go on with; a token may expire while its stream runs."""
        if call.context.principal is None:
            return
        if not reads and self._verifier.pulse.is_silent:
            raise MeshError(MeshReason.RIGHTS_UNCERTAIN)
        try:
            self._verifier.user(call.context.token)
        except MeshError as error:
            if error.reason is not MeshReason.TOKEN_EXPIRED:
                raise
