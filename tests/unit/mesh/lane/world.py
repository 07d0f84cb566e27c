"""Both ends of one lane without a carrier: a loop, a clock and a wire that are moved by hand."""

from __future__ import annotations

import asyncio
import time
from asyncio.events import _set_running_loop
from collections import Counter, deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar
from unittest import mock

import grpc

from mesh.lane.call import UnaryCall
from mesh.lane.client import ClientLane
from mesh.lane.frames import NOT_HERE, WINDOW, Buffer, LaneError
from mesh.lane.hello import Check, Prove
from mesh.lane.server import ServerLane
from mesh.lane.serving import Admission, Method
from mesh.lane.turns import Turns

P = ParamSpec("P")
T = TypeVar("T")

HOLD, ECHO, STREAMS, MISSING = "/t.T/Hold", "/t.T/Echo", "/t.T/Streams", "/t.T/Missing"
"""Methods: answered when the desk is told, at once, not over lanes, not at all."""
START = 1_000.0
CLOSED = LaneError("the wire was closed")
CUT = LaneError("the wire was cut")


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class StepLoop(asyncio.SelectorEventLoop):
    """A loop that has its time from a clock, and runs one turn when asked."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self.problems: list[Any] = []
        self.set_exception_handler(lambda _, context: self.problems.append(context))

    def time(self) -> float:
        return self._clock()

    def step(self) -> None:
        """One turn: what is ready now."""
        self.call_soon(self.stop)
        self.run_forever()

    def within(self, do: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `do` as a callback of this loop would be, between two turns."""
        _set_running_loop(self)
        try:
            return do(*args, **kwargs)
        finally:
            _set_running_loop(None)


class Wire:
    """The carrier of one end: what was sent lies there until it is delivered."""

    def __init__(self) -> None:
        self.session: Any = None
        self.sent: deque[bytes] = deque()
        self.wakes = 0
        self.is_closed = self.is_detached = False

    def wake(self) -> None:
        self.wakes += 1

    def flush(self) -> None:
        self.wake()

    def close(self) -> None:
        if not self.is_closed:
            while self.session.pending:
                self.write()
            self.is_closed = True

    def abort(self) -> None:
        self.is_closed = True

    def write(self) -> None:
        """Take one batch, as a carrier does once it was woken."""
        self.sent.append(self.session.take())


class Desk:
    """The handlers of a server: counts what was run, and answers when it is told to."""

    def __init__(self) -> None:
        self.ran: Counter[bytes] = Counter()
        self.held: dict[bytes, asyncio.Future[Callable[[Any], bytes]]] = {}
        self.contexts: dict[bytes, Any] = {}
        self.cancelled: list[bytes] = []

    async def hold(self, request: bytes, context: Any) -> Any:
        self.ran[request] += 1
        self.contexts[request] = context
        told = self.held[request] = asyncio.get_running_loop().create_future()
        try:
            answer = await told
        except asyncio.CancelledError:
            self.cancelled.append(request)
            raise
        finally:
            del self.held[request]
        return answer(context)

    async def echo(self, request: bytes, context: Any) -> bytes:
        self.ran[request] += 1
        self.contexts[request] = context
        return request

    def tell(self, request: bytes, reply: bytes) -> None:
        """Let a held call answer."""
        self.held[request].set_result(lambda _: reply)

    def refuse(self, request: bytes, trailing: Any = ()) -> None:
        """Let a held call end with FAILED_PRECONDITION."""

        def answer(context: Any) -> bytes:
            context.set_code(grpc.StatusCode.FAILED_PRECONDITION)
            context.set_details("no")
            context.set_trailing_metadata(trailing)
            return b""

        self.held[request].set_result(answer)


class FakeHost:
    """What the lanes of a server share, with counts that must add up."""

    def __init__(
        self, desk: Desk, *, window: int = WINDOW, check: Check | None = None, most: int = 1 << 30
    ) -> None:
        self.turns = Turns()
        self.window = window
        self.check = check
        self.admission: Admission | None = None
        self.most = most
        self.begun = self.ended = 0
        self.gone: list[Any] = []
        self.methods: dict[str, Method | int] = {
            HOLD: Method(desk.hold, None, None),
            ECHO: Method(desk.echo, None, None),
            STREAMS: NOT_HERE,
        }

    def find(self, path: str) -> Method | int | None:
        return self.methods.get(path)

    def begin(self) -> bool:
        if self.begun - self.ended >= self.most:
            return False
        self.begun += 1
        return True

    def end(self) -> None:
        self.ended += 1

    def left(self, lane: Any) -> None:
        self.gone.append(lane)


class FakeKeeper:
    """Remembers the calls that a lane gave back."""

    def __init__(self) -> None:
        self.given_back: list[tuple[UnaryCall, bool, str]] = []
        self.elsewhere: list[UnaryCall] = []
        self.large: list[UnaryCall] = []
        self.ends: list[ClientLane] = []
        self.waits = False
        self.problems: list[str] = []

    def returned(self, call: UnaryCall, *, sent: bool, reason: str) -> None:
        self.given_back.append((call, sent, reason))

    def belongs_elsewhere(self, call: UnaryCall) -> None:
        self.elsewhere.append(call)

    def too_large(self, call: UnaryCall) -> None:
        self.large.append(call)

    def silent(self, reason: str) -> None:
        self.problems.append(reason)

    def ended(self, lane: ClientLane) -> None:
        self.ends.append(lane)


class World:
    """A client's and a server's end, with a wire between them.

    Args:
        window: calls that may be unanswered.
        check: of the server; proves callers.
        prove: of the client; signs.
        most: calls that the host begins at once.
    """

    def __init__(
        self,
        *,
        window: int = 8,
        check: Check | None = None,
        prove: Prove | None = None,
        most: int = 1 << 30,
    ) -> None:
        self.clock = Clock()
        self._time = mock.patch.object(time, "monotonic", self.clock)
        self._time.start()
        self.loop = StepLoop(self.clock)
        self.desk = Desk()
        self.host = self.within(FakeHost, self.desk, window=window, check=check, most=most)
        self.keeper = FakeKeeper()
        self.client = self.within(ClientLane, self.keeper, prove=prove, program="test")
        self.up, self.down = Wire(), Wire()
        self.server = self.new_server()
        self.up.session, self.down.session = self.client, self.server
        self.within(self.client.attach, self.up)
        self.within(self.server.attach, self.down)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        if error is None:
            assert not self.loop.problems, self.loop.problems

    def new_server(self, peer: str = "unix:") -> ServerLane:
        """Another server's end of the same host."""
        return self.within(ServerLane, self.host, peer=peer)

    def within(self, do: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return self.loop.within(do, *args, **kwargs)

    def close(self) -> None:
        """Cut the wire, let everything end, and give the clock back."""
        try:
            self.cut()
            self.settle()
        finally:
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.loop.step()
            self.loop.close()
            self._time.stop()

    # Calls.

    def call(self, path: str, request: bytes = b"", left_s: float = 60.0, **more: Any) -> UnaryCall:
        """A call that was given to the client's end."""
        call = UnaryCall(path, request, None, self.clock.now + left_s, **more)
        self.within(self.client.submit, call)
        return call

    # The wire.

    def write(self, wire: Wire) -> bool:
        """One batch goes onto the wire; False when there is nothing to send."""
        if wire.is_closed or not wire.session.pending:
            return False
        self.within(wire.write)
        return True

    def deliver(self, wire: Wire) -> bool:
        """The oldest batch on the wire, or else its end, reaches the other side."""
        if wire.is_detached:
            return False
        other = self.down if wire is self.up else self.up
        if wire.sent:
            batch = wire.sent.popleft()
            if not other.is_closed:
                self.feed(other, batch)
            return True
        if wire.is_closed:
            wire.is_detached = True
            other.is_closed = True
            self.within(wire.session.detached, wire, CLOSED)
            self.within(other.session.detached, other, CLOSED)
            return True
        return False

    def feed(self, wire: Wire, batch: Buffer) -> None:
        """Give a batch to the session at one end, as carriers do."""
        try:
            self.within(wire.session.feed, batch)
        except LaneError as error:
            self.within(wire.session.fail, error)

    def cut(self) -> None:
        """The connection is gone, with all that was on the wire."""
        for wire in (self.up, self.down):
            wire.is_closed = True
            wire.sent.clear()
            if not wire.is_detached:
                wire.is_detached = True
                self.within(wire.session.detached, wire, CUT)

    def settle(self) -> None:
        """Deliver and run everything, until nothing moves."""
        for _ in range(10_000):
            moved = any([self.write(self.up), self.write(self.down)])
            moved |= any([self.deliver(self.up), self.deliver(self.down)])
            busy = bool(self.loop._ready)  # type: ignore[attr-defined]
            self.loop.step()
            if not moved and not busy:
                return
        raise AssertionError("it does not come to rest")

    def pass_time(self, seconds: float) -> None:
        """Let time pass; timers that are due ring."""
        self.clock.now += seconds
        self.loop.step()
        self.loop.step()
