"""The client's end of a lane, whatever carries it: bytes come in by `feed`, go out by `take`.

Every call that was sent is ended by exactly one frame of the server, also one that was
cancelled meanwhile: so both ends count alike what is unanswered.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

import grpc

from mesh.alarm import NEVER, Alarm
from mesh.lane import hello as opening
from mesh.lane.call import UnaryCall
from mesh.lane.carrier import NO_CARRIER, Carrier
from mesh.lane.composer import Composer
from mesh.lane.frames import (
    MAX_BATCH,
    MAX_REPLY,
    MAX_REQUEST,
    MAX_WINDOW,
    NOT_HERE,
    OPTIONAL,
    Buffer,
    EndFrame,
    Kind,
    LaneError,
    RefusedError,
    server_batch,
)
from mesh.lane.keeper import Keeper, State
from mesh.lane.vigil import Vigil
from mesh.lane.waiting import Waiting

TOO_MANY_WAIT: Final = "Too many calls wait for this server"
SILENT: Final = "the server is silent"


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
        self.state = State.OPENING
        self.opened: asyncio.Future[None] = self._loop.create_future()
        """Done when the lane is open; renewed by who tries another carrier."""
        self.connected: asyncio.Future[None] = self._loop.create_future()
        """Done once the lane was open, or came to nothing."""
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self._carrier: Carrier = NO_CARRIER
        self._window = 0
        self._hello = b""
        self._is_greeted = False
        self._was_alone = False
        """Whether the last call had the lane for itself: then the next one waits for no other."""
        self._waiting = Waiting()
        self._in_flight: dict[int, UnaryCall] = {}
        self._composer = Composer(self._refuse)
        self._alarm = Alarm(self._end_late)
        self._vigil = Vigil(self)

    # The side of the calls.

    @property
    def load(self) -> int:
        """Calls that it has been given and has not brought back."""
        return len(self._in_flight) + self._waiting.count

    @property
    def is_full(self) -> bool:
        """Whether a further call would have to wait for others' answers."""
        return len(self._in_flight) + self._waiting.count >= self._window

    def knows(self, path: str) -> bool:
        """Whether calls of this method can be sent; a lane names a bounded number of methods."""
        return self._composer.knows(path)

    def submit(self, call: UnaryCall) -> None:
        """Take a call; it goes out with the next batch that has room.

        When too much waits already, it fails with RESOURCE_EXHAUSTED.
        """
        if not self._waiting.add(call):
            call.failed(grpc.StatusCode.RESOURCE_EXHAUSTED, TOO_MANY_WAIT)
            return
        call.holder = self
        call.loop = self._loop
        if call.due < self._alarm.at:
            self._alarm.set(call.due)
        if self.state is not State.OPEN or len(self._in_flight) >= self._window:
            return
        if self._was_alone and not self._in_flight:
            self._carrier.flush()
        else:
            self._carrier.wake()

    def cancelled(self, call: UnaryCall) -> None:
        """Tell the server when it has the call; one that waits is passed over."""
        if self._in_flight.get(call.id) is call:
            self._composer.control.append((Kind.CANCEL, call.id, ""))
            self._carrier.wake()
        else:
            self._waiting.ended(call)

    # The side of the carrier.

    def attach(self, carrier: Carrier) -> None:
        """A connection stands; the server's hello comes next."""
        self._carrier = carrier

    def reset(self) -> None:
        """Close what did not come to be a lane; another carrier may be tried."""
        carrier, self._carrier = self._carrier, NO_CARRIER
        self._is_greeted = False
        self._hello = b""
        carrier.abort()

    def fail(self, error: LaneError) -> None:
        """The server broke a rule: close at once."""
        self._carrier.abort()
        self.detached(self._carrier, error)

    def detached(self, carrier: Carrier, error: LaneError) -> None:
        """The carrier is gone. Before the lane was open, another one may be tried."""
        if carrier is not self._carrier:
            return
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
            return bool(self._hello)
        has_room = len(self._in_flight) < self._window
        return bool((self._waiting.count and has_room) or self._composer or self._hello)

    def take(self) -> bytes:
        """The next batch."""
        if self._hello:
            first, self._hello = self._hello, b""
            return first
        return self._composer.batch(self._waiting, self._in_flight, self._window)

    def heard(self) -> None:
        """The server is there."""
        self._vigil.heard()

    def feed(self, data: Buffer) -> None:
        """Take in a batch of the server.

        Raises:
            LaneError: the server broke a rule; the lane must be closed.
        """
        self.heard()
        if self.state is State.OPENING:
            self._greet(data)
            return
        pieces, replies, endings, control = server_batch(data)
        in_flight, began = self._in_flight, 0.0
        for number, piece in pieces:
            self._add_piece(number, piece)
        for number, reply in replies:
            call = in_flight.pop(number, None)
            if call is None:
                raise LaneError(f"the server answers call {number}, which is not under way")
            began = call.began
            if not call.is_done:
                call.answered(reply)
        for frame in endings:
            self._end(in_flight.get(frame[0]), frame)
            del in_flight[frame[0]]  # not before: a frame that is refused leaves its call here
        self._was_alone = not in_flight and len(replies) + len(endings) == 1
        for item in control:
            self._obey(*item)
        self._go_on(began)

    def _go_on(self, began: float) -> None:
        """Send more after answers, the last of them to a call that began then; or close."""
        if self._waiting.count and self.state is State.OPEN:
            if began:
                self._composer.crowded(time.monotonic() - began)
            self._carrier.wake()
        elif self.state is State.DRAINING and not self._in_flight:
            self._carrier.close()

    def lost(self, reason: str) -> None:
        """The carrier is gone: whatever is not answered goes back to the keeper."""
        if self.state is State.CLOSED:
            return
        self.state = State.CLOSED
        self.closed.set_result(None)
        if not self.connected.done():
            self.connected.set_result(None)
        self._alarm.stop()
        self._vigil.stop()
        self._keeper.ended(self)
        sent, self._in_flight = self._in_flight, {}
        for call in self._waiting.clear():
            self._return(call, sent=False, reason=reason)
        for call in sent.values():
            self._return(call, sent=True, reason=reason)

    def close(self) -> None:
        """Take no more calls, and close when those under way are answered."""
        if self.state is State.OPEN:
            self._drain(self._composer.next_id, "closed")
            if not self._in_flight:
                self._carrier.close()

    def abandon(self, reason: str) -> None:
        """Close at once; calls under way are lost."""
        self._carrier.abort()
        self.lost(reason)

    # The side of the vigil.

    def tick(self) -> bool:
        """Forget what may be kept no longer; whether the server owes answers."""
        self._composer.blocks.forget_expired()
        if self._composer:
            self._carrier.wake()
        return bool(self._in_flight) or self._keeper.waits

    def ping(self, number: int) -> None:
        """Ask the server whether it is there."""
        self._composer.control.append((Kind.PING, number, ""))
        self._carrier.wake()

    def silent(self) -> None:
        """It did not say so in time."""
        self._keeper.silent(SILENT)
        self.abandon(SILENT)

    # Inside.

    def _greet(self, data: Buffer) -> None:
        """Answer the server's hello; then hear whether it takes us in."""
        if not self._is_greeted:
            said = opening.read(opening.ServerHello, data)
            hello = opening.answer(said, self.listener, self._prove, self._program)
            self._hello = opening.write(hello)
            self._composer.max_request = min(said.max_request, MAX_REQUEST)
            self._is_greeted = True
        else:
            *_, control = server_batch(data)
            for kind, number, text in control:
                if self.state is not State.OPENING:
                    self._obey(kind, number, text)
                elif kind == Kind.GO_AWAY:
                    raise RefusedError(f"the server refuses us: {text}")
                elif kind == Kind.CREDIT:
                    self._open(number)
        self._carrier.wake()

    def _open(self, window: int) -> None:
        self._window = min(window, MAX_WINDOW)
        self.state = State.OPEN
        if not self.opened.done():
            self.opened.set_result(None)
        self.connected.set_result(None)
        self._vigil.set()

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

    def _refuse(self, call: UnaryCall) -> None:
        """Give a call back that the server would not take over a lane."""
        call.holder = None
        self._keeper.too_large(call)

    def _obey(self, kind: int, number: int, text: str) -> None:
        if kind == Kind.CREDIT:
            self._window = min(number, MAX_WINDOW)
        elif kind == Kind.GO_AWAY:
            self._drain(number, text)
        elif kind == Kind.PING:
            if len(self._composer.control) >= MAX_WINDOW:
                raise LaneError("the server pings, and takes no answers")
            self._composer.control.append((Kind.PONG, number, ""))
            self._carrier.wake()
        elif kind != Kind.PONG and kind < OPTIONAL:
            raise LaneError(f"the server sent a control frame of kind {kind}")

    def _drain(self, accepted: int, reason: str) -> None:
        """Bring back what the server took in; the rest was not run, and may go elsewhere."""
        if self.state is not State.OPEN:
            return
        self.state = State.DRAINING
        self._keeper.ended(self)
        refused = [number for number in self._in_flight if number > accepted]
        for call in (*map(self._in_flight.pop, refused), *self._waiting.clear()):
            self._return(call, sent=False, reason=reason)

    def _return(self, call: UnaryCall, *, sent: bool, reason: str) -> None:
        if not call.is_done:
            call.holder = None
            call.pieces = None
            self._keeper.returned(call, sent=sent, reason=reason)

    def _end_late(self, now: float) -> float:
        """End the calls whose deadline has passed; answers the earliest of the others."""
        least = NEVER
        for call in (*self._in_flight.values(), *self._waiting):
            if call.is_done:
                continue
            if call.due > now:
                least = min(least, call.due)
                continue
            call.late()
            self.cancelled(call)
        return least
