"""The thread that the lanes of a blocking channel live in.

Lanes keep deadlines and answer pings also while nobody calls, so they need a loop that
always runs. Calls are handed over by a queue: one wake-up of the loop takes all that
came meanwhile.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import Context
from functools import partial
from threading import Lock, Thread, get_ident
from typing import Final

import grpc

from mesh.blocking._call import LaneCall
from mesh.channel import Channel
from mesh.lane.call import UnaryCall
from mesh.lane.dial import Endpoint, Way
from mesh.lane.hello import Prove
from mesh.peer import Peer
from mesh.resilience import is_repeatable

CLOSED: Final = "Channel closed!"


class LaneThread:
    """A daemon thread with an event loop, begun by the first call.

    It holds nothing of the channel that it serves, so that a channel which is let go
    of can end it. Any thread may call.
    """

    def __init__(self, way: Way, prove: Prove | None) -> None:
        self._lanes = _Lanes(way, prove)
        self._lock = Lock()
        self._waiting: deque[Callable[[], object]] = deque()
        self._is_awake = self._is_closed = self._is_over = False
        self._context = Context()  # lanes must not hold what a caller's context carries
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None
        self._ident = 0

    @property
    def is_current(self) -> bool:
        """Whether we are in it, as the callbacks of futures are: who waits here, waits for ever."""
        return get_ident() == self._ident

    def send(self, call: LaneCall, targets: Sequence[Endpoint]) -> None:
        """Take a call to one of `targets`; it will be ended, or handed back."""
        self._do(partial(self._send, call, targets))

    def cancel(self, call: LaneCall) -> None:
        """Give a call up, and tell the server."""
        self._do(call.cancel)

    def close(self, *, wait: bool = True) -> None:
        """End the thread; calls under way are cancelled. A second time does nothing."""
        with self._lock:
            self._is_closed = True
            loop, self._loop = self._loop, None
            if loop is not None:
                loop.call_soon_threadsafe(loop.stop)
        if self._thread is None:
            self._refuse()
        elif wait and not self.is_current:
            self._thread.join()

    def _do(self, work: Callable[[], object]) -> None:
        self._waiting.append(work)
        if not self._is_awake:
            self._wake()

    def _wake(self) -> None:
        with self._lock:
            if not self._is_closed:
                if self._loop is None:
                    self._loop = self._start()
                self._is_awake = True
                self._loop.call_soon_threadsafe(self._take, context=self._context)
                return
        if self._is_over:
            self._take()

    def _start(self) -> asyncio.AbstractEventLoop:
        loop = _new_loop()
        self._thread = Thread(target=self._run, args=(loop,), name="mesh lanes", daemon=True)
        self._thread.start()
        return loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        self._ident = get_ident()
        try:
            loop.run_forever()
        finally:
            loop.run_until_complete(self._lanes.end())
            loop.close()
            self._refuse()

    def _refuse(self) -> None:
        """From now on nothing is taken but to be refused, by whichever thread brings it."""
        self._is_over = True
        self._take()

    def _take(self) -> None:
        self._is_awake = False
        with suppress(IndexError):
            while True:
                self._waiting.popleft()()

    def _send(self, call: LaneCall, targets: Sequence[Endpoint]) -> None:
        if self._is_over:
            call.failed(grpc.StatusCode.CANCELLED, CLOSED)
        else:
            self._lanes.send(call, targets)


def _new_loop() -> asyncio.AbstractEventLoop:
    """A loop of uvloop where the program has it loaded; loading it costs as much as 50 calls."""
    uvloop = sys.modules.get("uvloop")
    return asyncio.new_event_loop() if uvloop is None else uvloop.new_event_loop()


class _Lanes(Channel):
    """The lanes of a blocking channel. What they do not take goes back to who called."""

    def __init__(self, way: Way, prove: Prove | None) -> None:
        super().__init__("", lambda: self._targets, carriers=way.carriers, prove=prove, tls=way.tls)
        self._targets: Sequence[Endpoint] = ()

    def send(self, call: LaneCall, targets: Sequence[Endpoint]) -> None:
        """Give a call to a lane of one of `targets`, of which there is one at least."""
        if self.balancer.is_closed:
            call.failed(grpc.StatusCode.CANCELLED, CLOSED)
            return
        self._targets = targets
        peer = self.choose()
        assert peer is not None
        lane = peer.lane(call.path)
        if lane is None:
            self.carry(call, peer)
            return
        if self.balancer.has_others:
            call.observe = peer.observe
        lane.submit(call)

    def returned(self, call: UnaryCall, peer: Peer, *, sent: bool, reason: str) -> None:
        assert isinstance(call, LaneCall)
        call.resent += sent
        if sent and call.resent == 1 and is_repeatable(call.path) and not self.balancer.is_closed:
            sent = False  # a second time does no harm
        super().returned(call, peer, sent=sent, reason=reason)

    def carry(self, call: UnaryCall, peer: Peer) -> None:
        assert isinstance(call, LaneCall)
        if self.balancer.is_closed:
            call.failed(grpc.StatusCode.CANCELLED, CLOSED)
        else:
            call.hand_back(peer.endpoint.address)

    async def end(self) -> None:
        """Close; return when the connections are closed too."""
        await self.close()
        for _ in range(3):  # what a transport has begun to close is closed by the loop's next turns
            await asyncio.sleep(0)
