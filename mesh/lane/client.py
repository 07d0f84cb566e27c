"""The client's end of a lane, whatever carries it: bytes come in by `feed`, go out by `take`.

Every call that was sent is ended by exactly one frame of the server, also one that was
cancelled meanwhile: so both ends count alike what is unanswered.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextvars import Context
from enum import Enum
from typing import Final, Protocol

import grpc

from mesh.lane import hello as opening
from mesh.lane.alarm import NEVER, Alarm
from mesh.lane.blocks import Blocks
from mesh.lane.call import UnaryCall
from mesh.lane.carrier import NO_CARRIER, Carrier
from mesh.lane.frames import (
    FULL_BYTES,
    FULL_FRAMES,
    MAX_BATCH,
    MAX_METHODS,
    MAX_REPLY,
    MAX_WINDOW,
    NOT_HERE,
    OPTIONAL,
    Buffer,
    CallFrame,
    Control,
    EndFrame,
    Kind,
    LaneError,
    encode,
    pack,
    server_batch,
    size_of,
)

MAX_WAITING: Final = 16_384
MAX_WAITING_BYTES: Final = 64 << 20
"""Calls, and bytes of their requests, that may wait for a place in the window."""
TOO_MANY_WAIT: Final = "Too many calls wait for this server"

TICK_S: Final = 0.5
"""How often a lane looks at itself."""
SILENT_S: Final = 1.0
"""A server that owes answers and is silent for so long is asked whether it is there."""
IDLE_S: Final = 30.0
"""The same of one that owes nothing."""
PONG_S: Final = 1.5
"""How long it may take to say so."""


class Keeper(Protocol):
    """Has opened a lane, and cares for the calls that it could not bring to an end."""

    def returned(self, call: UnaryCall, *, sent: bool, reason: str) -> None:
        """A call that the lane will not bring back; it may have run when it was `sent`."""

    def belongs_elsewhere(self, call: UnaryCall) -> None:
        """The server serves the call's method on the ordinary path alone; it was not run."""

    def ended(self, lane: ClientLane) -> None:
        """The lane takes no more calls."""


class State(Enum):
    """The life of a lane."""

    OPENING = "opening"
    OPEN = "open"
    DRAINING = "draining"
    CLOSED = "closed"


class ClientLane:
    """One lane, as its client has it.

    Args:
        keeper: who opened it.
        prove: signs for the calling service; None: it has no key.
        program: how we show ourselves in the server's lists.
    """

    def __init__(
        self, keeper: Keeper, *, prove: opening.Prove | None = None, program: str = ""
    ) -> None:
        self._keeper = keeper
        self._prove = prove
        self._program = program
        self.listener = ""
        """The path of the Unix socket that we connect to, which the proof is bound to."""
        self._loop = asyncio.get_running_loop()
        self._context = Context()  # timers must not hold what the call that began them carried
        self.state = State.OPENING
        self.opened: asyncio.Future[None] = self._loop.create_future()
        """Done when the lane is open; renewed by who tries another carrier."""
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self._carrier: Carrier = NO_CARRIER
        self._window = 0
        self._hello = b""
        self._next_id = 1
        self._queue: deque[UnaryCall] = deque()
        self._waiting = 0
        self._in_flight: dict[int, UnaryCall] = {}
        self._methods: dict[str, int] = {}
        self._fresh_methods: list[tuple[int, str]] = []
        self._blocks = Blocks()
        self._control: list[Control] = []
        self._alarm = Alarm(self._end_late)
        self._heard = self._looked = time.monotonic()
        self._pings = 0
        self._asked_at = 0.0

    # The side of the calls.

    @property
    def load(self) -> int:
        """Calls that it has been given and has not brought back."""
        return len(self._in_flight) + len(self._queue)

    @property
    def is_full(self) -> bool:
        """Whether a further call would have to wait for others' answers."""
        return len(self._in_flight) + len(self._queue) >= self._window

    def knows(self, path: str) -> bool:
        """Whether calls of this method can be sent; a lane names a bounded number of methods."""
        return path in self._methods or len(self._methods) < MAX_METHODS

    def submit(self, call: UnaryCall) -> None:
        """Take a call; it goes out with the next batch that has room.

        When too much waits already, it fails with RESOURCE_EXHAUSTED.
        """
        self._waiting += len(call.request)
        if len(self._queue) >= MAX_WAITING or self._waiting > MAX_WAITING_BYTES:
            self._waiting -= len(call.request)
            call.failed(grpc.StatusCode.RESOURCE_EXHAUSTED, TOO_MANY_WAIT)
            return
        call.holder = self
        self._queue.append(call)
        if call.due < self._alarm.at:
            self._alarm.set(call.due)
        if self.state is State.OPEN and len(self._in_flight) < self._window:
            self._carrier.wake()

    def cancelled(self, call: UnaryCall) -> None:
        """Tell the server when it has the call; one that waits is passed over."""
        if self._in_flight.get(call.id) is call:
            self._control.append((Kind.CANCEL, call.id, ""))
            self._carrier.wake()

    # The side of the carrier.

    def attach(self, carrier: Carrier) -> None:
        """A connection stands; the server's hello comes next."""
        self._carrier = carrier

    def reset(self) -> None:
        """Close what did not come to be a lane; another carrier may be tried."""
        carrier, self._carrier = self._carrier, NO_CARRIER
        carrier.abort()

    def fail(self, error: LaneError) -> None:
        """The server broke a rule: close at once."""
        self._carrier.abort()
        self.detached(error)

    def detached(self, error: LaneError) -> None:
        """The carrier is gone. Before the lane was open, another one may be tried."""
        if self.state is not State.OPENING:
            self.lost(str(error))
        elif not self.opened.done():
            self.opened.set_exception(error)

    @property
    def max_batch(self) -> int:
        """Bytes that the next batch may have."""
        return opening.MAX_HELLO if self.state is State.OPENING else MAX_BATCH

    @property
    def pending(self) -> bool:
        """Whether `take` has something to give."""
        if self.state is State.OPENING:
            return False
        return bool(
            (self._queue and len(self._in_flight) < self._window)
            or self._control
            or self._hello
            or self._blocks.dropped
        )

    def take(self) -> bytes:
        """The next batch."""
        if self._hello:
            first, self._hello = self._hello, b""
            return first
        calls = self._take_calls()
        methods, self._fresh_methods = self._fresh_methods, []
        control, self._control = self._control, []
        blocks = self._blocks
        if blocks.dropped:
            control += blocks.take_dropped()
        return encode((methods, blocks.take_fresh() if blocks.fresh else [], calls, control))

    def feed(self, data: Buffer) -> None:
        """Take in a batch of the server.

        Raises:
            LaneError: the server broke a rule; the lane must be closed.
        """
        self._heard = time.monotonic()
        if self.state is State.OPENING:
            self._open(data)
            return
        pieces, replies, endings, control = server_batch(data)
        in_flight = self._in_flight
        for number, piece in pieces:
            self._add_piece(number, piece)
        for number, reply in replies:
            call = in_flight.pop(number, None)
            if call is None:
                raise LaneError(f"the server answers call {number}, which is not under way")
            if not call.is_done:
                call.answered(reply)
        for frame in endings:
            self._end(in_flight.pop(frame[0], None), frame)
        for item in control:
            self._obey(*item)
        if self._queue and self.state is State.OPEN:
            self._carrier.wake()
        elif self.state is State.DRAINING and not in_flight:
            self._carrier.close()

    def lost(self, reason: str) -> None:
        """The carrier is gone: whatever is not answered goes back to the keeper."""
        if self.state is State.CLOSED:
            return
        self.state = State.CLOSED
        self.closed.set_result(None)
        self._alarm.stop()
        self._keeper.ended(self)
        sent, self._in_flight = self._in_flight, {}
        waiting, self._queue, self._waiting = self._queue, deque(), 0
        for call in waiting:
            self._return(call, sent=False, reason=reason)
        for call in sent.values():
            self._return(call, sent=True, reason=reason)

    def close(self) -> None:
        """Take no more calls, and close when those under way are answered."""
        if self.state is State.OPEN:
            self._drain(self._next_id, "closed")
            if not self._in_flight:
                self._carrier.close()

    def abandon(self, reason: str) -> None:
        """Close at once; calls under way are lost."""
        self._carrier.abort()
        self.lost(reason)

    # Inside.

    def _open(self, data: Buffer) -> None:
        said = opening.read(opening.ServerHello, data)
        self._hello = opening.write(opening.answer(said, self.listener, self._prove, self._program))
        self._window = min(said.window, MAX_WINDOW)
        self.state = State.OPEN
        if not self.opened.done():
            self.opened.set_result(None)
        self._loop.call_later(TICK_S, self._tick, context=self._context)
        self._carrier.wake()

    def _take_calls(self) -> list[CallFrame]:
        queue, in_flight, window, blocks = self._queue, self._in_flight, self._window, self._blocks
        frames: list[CallFrame] = []
        size, now = 0, time.monotonic()
        while queue and len(in_flight) < window and len(frames) < FULL_FRAMES and size < FULL_BYTES:
            call = queue.popleft()
            self._waiting -= len(call.request)
            if call.is_done:
                continue
            left = call.due - now
            if left <= 0:
                call.late()
                continue
            number = call.id = self._next_id
            self._next_id = number + 1
            in_flight[number] = call
            call.began = now
            shared, own = call.shared, call.own
            block = blocks.id_of(shared) if shared is not None else 0
            if blocks.fresh and shared is not None:
                size += shared.size
            if own:
                size += size_of(own)
            frames.append(
                (
                    number,
                    self._methods.get(call.path) or self._name(call.path),
                    int(left * 1e6) + 1 if left != NEVER else 0,
                    block,
                    call.trace,
                    pack(own) if own else [],
                    call.request,
                )
            )
            size += len(call.request)
        return frames

    def _name(self, path: str) -> int:
        number = self._methods[path] = len(self._methods) + 1
        self._fresh_methods.append((number, path))
        return number

    def _add_piece(self, number: int, piece: bytes) -> None:
        call = self._in_flight.get(number)
        if call is None:
            raise LaneError(f"the server answers call {number}, which is not under way")
        if call.is_done:
            return
        if call.pieces is None:
            call.pieces, call.size = [], 0
        call.size += len(piece)
        if call.size > MAX_REPLY:
            raise LaneError(f"a reply is longer than {MAX_REPLY} bytes")
        call.pieces.append(piece)

    def _end(self, call: UnaryCall | None, frame: EndFrame) -> None:
        if call is None:
            raise LaneError(f"the server answers call {frame[0]}, which is not under way")
        if call.is_done:
            return
        if frame[1] == NOT_HERE:
            call.holder = None
            self._keeper.belongs_elsewhere(call)
        else:
            call.ended(frame)

    def _obey(self, kind: int, number: int, text: str) -> None:
        if kind == Kind.CREDIT:
            self._window = min(number, MAX_WINDOW)
        elif kind == Kind.GO_AWAY:
            self._drain(number, text)
        elif kind == Kind.PING:
            self._control.append((Kind.PONG, number, ""))
            self._carrier.wake()
        elif kind == Kind.PONG:
            self._asked_at = 0.0
        elif kind < OPTIONAL:
            raise LaneError(f"the server sent a control frame of kind {kind}")

    def _drain(self, accepted: int, reason: str) -> None:
        """Bring back what the server took in; the rest was not run, and may go elsewhere."""
        if self.state is not State.OPEN:
            return
        self.state = State.DRAINING
        self._keeper.ended(self)
        refused = [number for number in self._in_flight if number > accepted]
        calls = [*map(self._in_flight.pop, refused), *self._queue]
        self._queue.clear()
        self._waiting = 0
        for call in calls:
            self._return(call, sent=False, reason=reason)

    def _return(self, call: UnaryCall, *, sent: bool, reason: str) -> None:
        if not call.is_done:
            call.holder = None
            call.pieces = None
            self._keeper.returned(call, sent=sent, reason=reason)

    def _end_late(self, now: float) -> float:
        """End the calls whose deadline has passed; answers the earliest of the others."""
        least = NEVER
        for call in (*self._in_flight.values(), *self._queue):
            if call.is_done:
                continue
            if call.due > now:
                least = min(least, call.due)
                continue
            call.late()
            self.cancelled(call)
        return least

    def _tick(self) -> None:
        """Notice a server that is there no more, and forget expired blocks."""
        if self.state is State.CLOSED:
            return
        self._loop.call_later(TICK_S, self._tick, context=self._context)
        now = time.monotonic()
        was_busy = now - self._looked > 2 * TICK_S
        self._looked = now
        self._blocks.forget_expired()
        if was_busy or self.state is State.OPENING:  # we may not have heard what is there
            self._asked_at = self._asked_at and now
        elif self._asked_at:
            if now - self._asked_at > PONG_S:
                self.abandon("the server is silent")
        elif now - self._heard > (SILENT_S if self._in_flight else IDLE_S):
            self._pings += 1
            self._asked_at = now
            self._control.append((Kind.PING, self._pings, ""))
            self._carrier.wake()
