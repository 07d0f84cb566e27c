"""How the calls of a lane are run: what serves them, and what is under way."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, Protocol

import grpc

from mesh.alarm import NEVER, Alarm
from mesh.lane.context import LaneContext
from mesh.lane.frames import MAX_REPLY, Pairs
from mesh.lane.hello import Check
from mesh.lane.turns import Turns
from mesh.log import get_logger

LATE: Final = "Deadline Exceeded"
CANCELLED: Final = "Cancelled"

_log = get_logger(__name__)


Gate = Callable[[], bool]
"""Asked before a call begins; whether it may."""


class Admission(Protocol):
    """Decides which calls begin."""

    refusal: Pairs
    """Metadata that a call ends with which may not."""

    def gate(self, path: str) -> Gate | None:
        """What decides for the calls of one method; None: they may always begin."""

    def waited(self, seconds: float) -> None:
        """The call that has waited longest on a lane did so for this long."""


class Method(NamedTuple):
    """How calls of a method are served; None reads or writes bytes as they are."""

    serve: Callable[[Any, Any], Awaitable[Any]]
    deserialize: Callable[[bytes], Any] | None
    serialize: Callable[[Any], bytes] | None
    path: str = ""
    gate: Gate | None = None


class Host(Protocol):
    """What all lanes of a server share."""

    turns: Turns
    window: int
    """Calls that a client may have unanswered on one lane."""
    check: Check | None
    """Proves callers; None: none can prove itself."""
    admission: Admission | None
    """Decides which calls begin; None: all do."""

    def find(self, path: str) -> Method | int | None:
        """A method; None when there is none, `NOT_HERE` when it is not served on lanes."""

    def begin(self) -> bool:
        """Count a call that begins; False when there are too many."""

    def end(self) -> None:
        """Count a call that has ended."""

    def left(self, lane: Any) -> None:
        """A lane is gone."""


class Running:
    """The calls of one lane that have begun and not ended.

    Args:
        finished: told the context of a call that has ended, and its reply.
    """

    __slots__ = ("_alarm", "_finished", "_loop", "live")

    def __init__(self, finished: Callable[[LaneContext, bytes], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm(self._end_late)
        self._finished = finished
        self.live: dict[int, LaneContext] = {}
        """By the numbers of the calls."""

    def begin(self, context: LaneContext, method: Method, request: bytes) -> None:
        """Run a call in a task of its own."""
        self.live[context.number] = context
        context.task = self._loop.create_task(self._serve(context, method, request))
        if context.deadline_at < self._alarm.at:
            self._alarm.set(context.deadline_at)

    def cancel(self, number: int) -> bool:
        """End a call; False when it is not under way."""
        context = self.live.get(number)
        if context is not None:
            self._cancel(context)
        return context is not None

    def cancel_all(self) -> None:
        """End all calls."""
        self._alarm.stop()
        for context in list(self.live.values()):
            self._cancel(context)

    async def _serve(self, context: LaneContext, method: Method, request: Any) -> None:
        reply = b""
        try:
            if method.deserialize is not None:
                request = method.deserialize(request)
            answer = await method.serve(request, context)
            if context.is_ok:  # else the answer is dropped
                reply = _reply(method, answer)
                if len(reply) > MAX_REPLY:
                    text = f"Sent message larger than max ({len(reply)} vs. {MAX_REPLY})"
                    context.fail(grpc.StatusCode.RESOURCE_EXHAUSTED, text)
                    reply = b""
        except asyncio.CancelledError:
            _fail_cancelled(context)
        except grpc.aio.AbortError:
            pass
        except Exception as error:  # noqa: BLE001 - handlers are others' code, as in grpc.aio
            _log.error("handler_failed", method=method.path, exc_info=_loggable(error))
            code = None if context.is_ok else context.code()
            context.fail(code or grpc.StatusCode.UNKNOWN, f"Unexpected {type(error)}: {error}")
        self._end(context, reply)

    def _end(self, context: LaneContext, reply: bytes) -> None:
        del self.live[context.number]
        self._finished(context, reply)
        context.finished()

    def _cancel(self, context: LaneContext) -> None:
        """Cancel a handler, once: it may take its time to clean up."""
        if context.is_given_up:
            return
        context.is_given_up = True
        task = context.task
        assert task is not None
        coroutine = task.get_coro()
        task.cancel()
        assert inspect.iscoroutine(coroutine)
        if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
            _fail_cancelled(context)  # cancelled before its first step, it never runs
            self._end(context, b"")

    def _end_late(self, now: float) -> float:
        """Cancel the calls whose deadline has passed; answers the earliest of the others."""
        least = NEVER
        for context in list(self.live.values()):
            if context.deadline_at > now:
                least = min(least, context.deadline_at)
            elif not context.is_late:
                context.is_late = True
                self._cancel(context)
        return least


def _loggable(error: Exception) -> Exception | None:
    """The error, unless its text cannot be written: that would break the log instead."""
    try:
        str(error).encode()
    except UnicodeEncodeError:
        return None
    return error


def _reply(method: Method, answer: Any) -> bytes:
    """The bytes of an answer, as grpcio takes it: a handler without a serializer may give text."""
    if method.serialize is not None:
        answer = method.serialize(answer)
    if isinstance(answer, bytes):
        return answer
    if isinstance(answer, str):
        return answer.encode()
    if answer is None:
        return b""
    raise TypeError(f"Expected bytes, got {type(answer).__name__}")


def _fail_cancelled(context: LaneContext) -> None:
    if context.is_late:
        context.fail(grpc.StatusCode.DEADLINE_EXCEEDED, LATE)
    else:
        context.fail(grpc.StatusCode.CANCELLED, CANCELLED)
