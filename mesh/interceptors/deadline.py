"""Ends calls that take longer than their contract or their caller allows."""

from __future__ import annotations

import asyncio
from typing import Any

from mesh.call import Call, Handler
from mesh.contract import Method


class DeadlineInterceptor:
    """Cancels the handler at the deadline; the caller gets DEADLINE_EXCEEDED.

    The deadline is the earlier of the caller's and the method's own time-out.
    For server streams it bounds the opening; the transport ends the stream.
    """

    def bind(self, method: Method, call_next: Handler) -> Handler:  # noqa: ARG002
        async def bounded(call: Call, request: Any) -> Any:
            async with asyncio.timeout(call.deadline.remaining_s()):
                return await call_next(call, request)

        return bounded
