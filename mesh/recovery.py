"""What becomes of a channel's unary calls that went wrong: moved, sent again, or given up."""

from __future__ import annotations

import asyncio
import time
from contextvars import Context
from typing import TYPE_CHECKING, Final

import grpc

from mesh.attempt import Attempt, ChannelCall, carried
from mesh.context import TRACEPARENT
from mesh.lane.call import UnaryCall
from mesh.resilience import FAIR_S
from mesh.telemetry import TraceContext

if TYPE_CHECKING:
    from mesh.balancing import Balancer
    from mesh.peer import Peer
    from mesh.resilience import Counts, Retries

MAX_MOVES: Final = 8
"""How often a call that nobody has run may be given to another lane."""
MAX_WAITING: Final = 16_384
"""Calls that wait at once to be sent again; further ones are not."""
CLOSED: Final = "The channel was closed"

_LATE: Final = grpc.StatusCode.DEADLINE_EXCEEDED
_FULL: Final = grpc.StatusCode.RESOURCE_EXHAUSTED
"""Without having begun: more calls wait in our own lane than can be answered."""
_BUSY: Final = frozenset({grpc.StatusCode.UNAVAILABLE, _FULL})


class Recovery:
    """Cares for the calls of one channel that did not simply end well.

    Args:
        balancer: chooses where a call goes next, and hears how calls failed.
        retries: says whether, and when, a call is sent again.
        counts: the numbers of the process.
    """

    def __init__(self, balancer: Balancer, retries: Retries, counts: Counts) -> None:
        self._balancer = balancer
        self._retries = retries
        self._counts = counts
        self._tasks: set[asyncio.Future[None]] = set()
        self._waiting: dict[ChannelCall, asyncio.TimerHandle] = {}

    # Calls that a lane did not bring back.

    def returned(self, call: UnaryCall, peer: Peer, *, sent: bool, reason: str) -> None:
        """Move a call that nobody has run; one that may have run has failed."""
        call.moves += 1
        if self._balancer.is_closed:
            call.failed(grpc.StatusCode.CANCELLED, CLOSED)
        elif sent or call.moves > MAX_MOVES:
            call.failed(grpc.StatusCode.UNAVAILABLE, f"The connection was lost: {reason}")
        else:
            self._send(call, self._next(call, peer) or peer)

    def carry(self, call: UnaryCall, peer: Peer) -> None:
        """Bring a call to its end the ordinary way."""
        if self._balancer.is_closed:
            call.failed(grpc.StatusCode.CANCELLED, CLOSED)
            return
        task = asyncio.ensure_future(self._carry(call, peer))
        call.holder = _Carried(task)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Calls that failed.

    def takes(self, call: ChannelCall, code: grpc.StatusCode) -> bool:
        """Whether a call goes on: it is sent again, or a second attempt is under way."""
        if code is grpc.StatusCode.CANCELLED or self._balancer.is_closed:
            return False
        if _speaks_against(call, code):
            self._balancer.failed(call.peer, call.path, code)
        if code not in _BUSY or (code is _FULL and not call.began):
            return False
        if call.told.hedge is not None:
            call.told.held = code
            call.holder = None
            return True
        return self._retried(call, code)

    def hedged(self, attempt: Attempt, code: grpc.StatusCode) -> None:
        """End a call as its second attempt, which was quicker; or go on without that."""
        call = attempt.call
        if code is grpc.StatusCode.OK:
            self._counts.hedges_won.add()
            call.end_like(attempt)
            return
        if code is not grpc.StatusCode.CANCELLED:
            self._balancer.failed(attempt.peer, attempt.path, code)
        if call.told.held is not None:
            call.end_as(call.told.held)

    async def close(self) -> None:
        """End all calls that are in no lane."""
        for call, timer in [*self._waiting.items()]:
            timer.cancel()
            call.failed(grpc.StatusCode.CANCELLED, CLOSED)
        self._waiting.clear()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _retried(self, call: ChannelCall, code: grpc.StatusCode) -> bool:
        if len(self._waiting) >= MAX_WAITING:
            return False
        now = time.monotonic()
        failure = call.failure(code)
        wait_s = self._retries.wait_s(
            call.path,
            failure,
            call.told.tried,
            left_s=call.due - now,
            now=now,
            elsewhere=self._balancer.has_others,
        )
        if wait_s is None:
            return False
        loop = asyncio.get_running_loop()
        call.holder = None
        self._waiting[call] = loop.call_later(wait_s, self._again, call, code, context=Context())
        return True

    def _again(self, call: ChannelCall, code: grpc.StatusCode) -> None:
        """Send a call again, to another peer where there is one."""
        self._waiting.pop(call, None)
        if call.is_done:
            return
        peer = self._next(call, call.peer)
        if peer is None:
            call.end_as(code)
            return
        call.renew(peer)
        self._send(call, peer)

    def _next(self, call: UnaryCall, avoid: Peer) -> Peer | None:
        return self._balancer.choose(call.path, carried(call), avoid)

    def _send(self, call: UnaryCall, peer: Peer) -> None:
        if isinstance(call, ChannelCall | Attempt):
            call.aim(peer)
        call.observe = peer.observe if self._balancer.has_others else None
        lane = peer.lane(call.path, opening=False)
        if lane is None:
            self.carry(call, peer)
        else:
            lane.submit(call)

    async def _carry(self, call: UnaryCall, peer: Peer) -> None:
        method = peer.bound("unary_unary", call.path, (None, None))
        now = call.began = time.monotonic()
        call.observe = None  # with the time that connecting takes it would be compared to lanes
        plain = method(
            call.request,
            timeout=call.due - now,
            metadata=[*carried(call), *_trace(call.trace)],
            wait_for_ready=call.wait_for_ready,
        )
        try:
            reply = await plain
            metadata = await plain.initial_metadata(), await plain.trailing_metadata()
            call.settled(grpc.StatusCode.OK, await plain.details(), metadata, reply)
        except grpc.aio.AioRpcError as error:
            metadata = error.initial_metadata(), error.trailing_metadata()
            call.settled(error.code(), error.details() or "", metadata)
        except BaseException:
            if not call.is_done:
                call.failed(grpc.StatusCode.CANCELLED, CLOSED)
            raise


class _Carried:
    """Holds a call that goes the ordinary way."""

    connected = None

    def __init__(self, task: asyncio.Future[None]) -> None:
        self._task = task

    def cancelled(self, call: UnaryCall) -> None:  # noqa: ARG002 - it holds one alone
        self._task.cancel()


def _speaks_against(call: ChannelCall, code: grpc.StatusCode) -> bool:
    """Whether it may be the peer's fault that a call failed.

    It is not when the caller gave it no time, or floods his own lane.
    """
    if call.began:
        return code is not _LATE or call.due - call.began >= FAIR_S
    if code is _LATE:
        return call.peer.state(False) is not grpc.ChannelConnectivity.READY
    return code is not _FULL


def _trace(raw: bytes) -> list[tuple[str, str]]:
    trace = TraceContext.from_bytes(raw) if raw else None
    return [] if trace is None else [(TRACEPARENT, trace.header)]
