"""Ends calls that take longer than their contract or their caller allows."""

from __future__ import annotations

from asyncio import CancelledError, current_task
from typing import Any

from mesh.call import Call, Handler
from mesh.contract import Method
from mesh.overdue import Overdue


class DeadlineInterceptor:
    """Cancels the handler at the deadline; the caller gets DEADLINE_EXCEEDED.

    The deadline is the earlier of the caller's and the method's own time-out.
    For server streams it bounds the opening; the transport ends the stream.
    """

    def __init__(self, overdue: Overdue | None = None) -> None:
        self._overdue = Overdue() if overdue is None else overdue

    def bind(self, method: Method, call_next: Handler) -> Handler:  # noqa: ARG002
        add, remove = self._overdue.add, self._overdue.remove

        async def bounded(call: Call, request: Any) -> Any:
            task = call.task or current_task()
            assert task is not None
            entry = add(call.deadline.at, task)
            try:
                answer = await call_next(call, request)
            except BaseException as error:
                if remove(entry) and isinstance(error, CancelledError):
                    raise TimeoutError from error
                raise
            remove(entry)
            return answer

        return bounded
