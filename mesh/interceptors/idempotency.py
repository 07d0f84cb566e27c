"""Gives a repeated call the answer of the first one."""

from __future__ import annotations

from typing import Any

from google.protobuf import message_factory

from mesh.call import Call, Handler
from mesh.contract import Method
from mesh.storage import IdempotentCall, Replayed, idempotent_call
from mesh.tokens import ServiceKey


class IdempotencyInterceptor:
    """Names the call to the store, which keeps its answer in the transaction of its effect.

    What is kept of the request is a digest under the service's own key: a request
    may hold a password, of which the store must not show a fast hash.
    """

    def __init__(self, key: ServiceKey) -> None:
        self._key = key

    def bind(self, method: Method, call_next: Handler) -> Handler:
        if method.read_only or not method.has_request_id:
            return call_next
        key = self._key
        answer = message_factory.GetMessageClass(method.output)

        async def once(call: Call, request: Any) -> Any:
            if not request.request_id:
                return await call_next(call, request)
            digest = key.digest(request.SerializeToString(deterministic=True))
            token = idempotent_call.set(
                IdempotentCall(
                    caller=call.context.actor,
                    method=method.path,
                    request_id=request.request_id,
                    request_hash=digest,
                )
            )
            try:
                return await call_next(call, request)
            except Replayed as replay:
                return answer.FromString(replay.response)
            finally:
                idempotent_call.reset(token)

        return once
