"""The server's end of a lane, whatever carries it: bytes come in by `feed`, go out by `take`."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import grpc

from mesh.alarm import NEVER
from mesh.lane import hello as opening
from mesh.lane.carrier import NO_CARRIER, Carrier
from mesh.lane.context import LaneContext
from mesh.lane.frames import (
    MAX_BATCH,
    MAX_BLOCK_BYTES,
    MAX_BLOCKS,
    MAX_METHODS,
    NOT_HERE,
    OPTIONAL,
    Buffer,
    CallFrame,
    ClientBatch,
    Control,
    Kind,
    LaneError,
    Pair,
    Pairs,
    ServerBatch,
    client_batch,
    encode,
    size_of,
    unpack,
)
from mesh.lane.metadata import Repeated
from mesh.lane.outbox import MAX_UNSENT, Outbox
from mesh.lane.serving import CANCELLED, LATE, Host, Method, Running
from mesh.spiffe import service_in

MAX_CONTROL: Final = 64
"""Control frames that may wait to be sent."""
UNKNOWN_METHOD: Final = "Method not found!"
OVERLOADED: Final = "Concurrent RPC limit exceeded!"


class Block(NamedTuple):
    """Metadata that a client says once: in order, and as a mapping."""

    pairs: list[Pair]
    mapping: Mapping[str, str | bytes]
    size: int


class Tap(Protocol):
    """Looks on; whatever it does, the lane goes on."""

    def heard(
        self,
        lane: ServerLane,
        batch: ClientBatch,
        methods: Mapping[int, Method | int | None],
        blocks: Mapping[int, Block],
    ) -> None:
        """A client's batch has come; `methods` and `blocks` are what is known with it."""

    def told(self, lane: ServerLane, batch: ServerBatch) -> None:
        """A batch goes out."""


class ServerLane:
    """One lane, as its server has it.

    Args:
        host: what serves.
        peer: where the client is, as gRPC writes addresses.
        listener: the path of the Unix socket that it connected to; else empty.
        auth_context: what the carrier proves of the client.
    """

    def __init__(
        self,
        host: Host,
        *,
        peer: str,
        listener: str = "",
        auth_context: Mapping[str, Sequence[bytes]] | None = None,
    ) -> None:
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._hello = opening.ServerHello.fresh(window=host.window, listener=listener)
        self._first = opening.write(self._hello)
        self.peer = peer
        self.auth_context: dict[str, Sequence[bytes]] = dict(auth_context or {})
        self.caller = peer
        """Whose turn its calls take: the proven service, or else where the client is."""
        self.proven = service_in(self.auth_context)
        """The service that the connection is of: by its certificate, or its hello."""
        self.program = ""
        self.sender = peer
        """The process that sends them, as far as it says who it is."""
        self.heard_at = time.monotonic()
        """When the client was heard of last."""
        self.is_open = self.is_draining = self.is_closed = False
        self.number, self.way = 0, ""
        """What the host calls it by, and what carries it."""
        self.since = time.time()
        self.tap: Tap | None = None
        """Is shown all batches."""
        self._carrier: Carrier
        self._last_id = 0
        self._methods: dict[int, Method | int | None] = {}
        self._blocks: dict[int, Block] = {0: Block([], Repeated(()), 0)}
        self._block_bytes = 0
        self._inbox: deque[tuple[LaneContext, Method | int | None, bytes]] = deque()
        self._running = Running(self._finished)
        self._outbox = Outbox()
        self._control: list[Control] = []
        self._is_throttled = self._is_given_up = False

    # The side of the carrier.

    def attach(self, carrier: Carrier) -> None:
        """The connection stands."""
        self._carrier = carrier
        carrier.wake()

    @property
    def max_batch(self) -> int:
        """Bytes that the next batch may have."""
        return MAX_BATCH if self.is_open else opening.MAX_HELLO

    @property
    def pending(self) -> bool:
        """Whether `take` has something to give."""
        return bool(self._outbox or self._control or self._first)

    def take(self) -> bytes:
        """The next batch."""
        if self._first:
            first, self._first = self._first, b""
            return first
        pieces, replies, endings, _ = self._outbox.take()
        self._watch_outbox()
        control, self._control = self._control, []
        if self.is_draining and not (self._running.live or self._inbox or self._outbox):
            self._loop.call_soon(self._carrier.close)
        batch = (pieces, replies, endings, control)
        if self.tap is not None:
            self.tap.told(self, batch)
        return encode(batch)

    def heard(self) -> None:
        """The client is there."""
        self.heard_at = time.monotonic()

    def feed(self, data: Buffer) -> None:
        """Take in a batch of the client.

        Raises:
            LaneError: the client broke a rule; the lane must be closed.
        """
        self.heard()
        if not self.is_open:
            self._open(data)
            return
        methods, blocks, calls, control = client_batch(data)
        for number, path in methods:
            self._add_method(number, path)
        for number, pairs in blocks:
            self._add_block(number, pairs)
        if self.tap is not None:
            self.tap.heard(self, (methods, blocks, calls, control), self._methods, self._blocks)
        if calls and not self.is_draining:
            self._add_calls(calls)
        for kind, number, _ in control:
            self._obey(kind, number)
        if len(self._blocks) > MAX_BLOCKS + 1 or self._block_bytes > MAX_BLOCK_BYTES:
            raise LaneError("more metadata is to be kept than a lane may")

    def fail(self, error: LaneError) -> None:
        """Tell the client why the lane is closed; what it is owed is lost."""
        self._give_up()
        self._outbox.clear()
        self._control = [(Kind.GO_AWAY, self._last_id, str(error)[:1024])]
        self._carrier.close()

    def detached(self, carrier: Carrier, error: LaneError) -> None:  # noqa: ARG002 - the client's end needs it
        """The carrier is gone: nobody waits for what is under way."""
        if not self.is_closed:
            self.is_closed = True
            self._carrier = NO_CARRIER  # its buffers go now, not with the last timer of the lane
            self._give_up()
            self._outbox.clear()
            self._host.left(self)

    # The side of the host.

    def go_away(self, reason: str) -> None:
        """Bring what was accepted to an end, accept no more, then close."""
        if self.is_draining:
            return
        self.is_draining = True
        if self.is_open:
            self._control.append((Kind.GO_AWAY, self._last_id, reason))
            self._carrier.wake()
        else:
            self._carrier.close()

    def abort(self) -> None:
        """Cancel what is under way, and close."""
        self._give_up()
        self._carrier.close()

    @property
    def calls(self) -> int:
        """Calls that have begun or wait to be begun."""
        return len(self._running.live) + len(self._inbox)

    @property
    def unsent(self) -> int:
        """Bytes of replies that wait to be sent."""
        return self._outbox.unsent

    def start(self, most: int) -> bool:
        """Begin at most so many of the calls that wait; whether more could be begun."""
        inbox, outbox = self._inbox, self._outbox
        admission, now = self._host.admission, time.monotonic()
        if admission is not None and inbox:
            admission.waited(now - inbox[0][0].arrived_at)
        while inbox and most > 0 and outbox.unsent <= MAX_UNSENT:
            self._begin(now, *inbox.popleft())
            most -= 1
        return bool(inbox) and outbox.unsent <= MAX_UNSENT

    def _give_up(self) -> None:
        self.is_draining = self._is_given_up = True
        self._inbox.clear()
        self._running.cancel_all()

    # What a client says.

    def _open(self, data: Buffer) -> None:
        said = opening.read(opening.ClientHello, data)
        opening.admit(self._hello, said, self._host.check)
        if said.caller and self.proven not in {"", said.caller}:
            raise LaneError(f"the certificate is of '{self.proven}', the hello of '{said.caller}'")
        self.is_open = True
        self.program = said.program[:64]
        if said.caller:
            self.caller = self.proven = said.caller
            self.auth_context["engine_caller"] = [said.caller.encode()]
        self.sender = f"{self.caller} {self.program}"
        self._control.append((Kind.CREDIT, self._host.window, ""))
        self._carrier.wake()

    def _add_method(self, number: int, path: str) -> None:
        if number in self._methods or len(self._methods) >= MAX_METHODS:
            raise LaneError("a method is named twice, or too many are")
        self._methods[number] = self._host.find(path)

    def _add_block(self, number: int, pairs: Pairs) -> None:
        if number in self._blocks:
            raise LaneError(f"block {number} of metadata is said twice")
        metadata = unpack(pairs)
        self._blocks[number] = block = Block(metadata, Repeated(metadata), size_of(metadata))
        self._block_bytes += block.size

    def _add_calls(self, calls: list[CallFrame]) -> None:
        if len(self._running.live) + len(self._inbox) + len(calls) > self._host.window:
            raise LaneError(f"more than {self._host.window} calls are unanswered")
        now, proven = time.monotonic(), self.proven
        for number, method, timeout_us, block, trace, extra, request in calls:
            if number <= self._last_id:
                raise LaneError(f"call {number} comes after call {self._last_id}")
            if method not in self._methods or block not in self._blocks:
                raise LaneError(f"call {number} names a method or a block that was not said")
            pairs, mapping, _ = self._blocks[block]
            if extra:
                own = unpack(extra)
                pairs, mapping = [*pairs, *own], {**mapping, **dict(own)}
            due = now + timeout_us / 1e6 if timeout_us else NEVER
            context = LaneContext(self, number, mapping, pairs, due, trace, proven, now)
            self._inbox.append((context, self._methods[method], request))
            self._last_id = number
        if len(self._inbox) == 1 and not self._running.live:
            self._host.turns.alone(self)
        else:
            self._host.turns.ready(self)

    def _obey(self, kind: int, number: int) -> None:
        if kind == Kind.CANCEL:
            if not self._running.cancel(number):
                self._cancel_waiting(number)
        elif kind == Kind.DROP:
            block = self._blocks.pop(number, None) if number else None
            if block is None:
                raise LaneError(f"block {number} of metadata is not known")
            self._block_bytes -= block.size
        elif kind == Kind.PING:
            if len(self._control) >= MAX_CONTROL:
                raise LaneError("the client asks whether we are there, and does not listen")
            self._control.append((Kind.PONG, number, ""))
            self._carrier.wake()
        elif kind != Kind.PONG and kind < OPTIONAL:
            raise LaneError(f"the client sent a control frame of kind {kind}")

    def _cancel_waiting(self, number: int) -> None:
        """End a call that was not begun; one that is not found has been answered."""
        for arrived in self._inbox:
            if arrived[0].number == number:
                self._inbox.remove(arrived)
                self._refuse(number, grpc.StatusCode.CANCELLED, CANCELLED)
                return

    # Calls.

    def _begin(
        self, now: float, context: LaneContext, method: Method | int | None, request: bytes
    ) -> None:
        if method is None:
            self._refuse(context.number, grpc.StatusCode.UNIMPLEMENTED, UNKNOWN_METHOD)
        elif not isinstance(method, Method):
            self._end(context.number, NOT_HERE, "")
        elif context.deadline_at <= now:
            self._refuse(context.number, grpc.StatusCode.DEADLINE_EXCEEDED, LATE)
        elif method.gate is not None and not method.gate():
            self._shed(context.number)
        elif not self._host.begin():
            self._refuse(context.number, grpc.StatusCode.RESOURCE_EXHAUSTED, OVERLOADED)
        else:
            self._running.begin(context, method, request)

    def _finished(self, context: LaneContext, reply: bytes) -> None:
        self._host.end()
        if self._is_given_up:
            return
        if context.is_plain:
            self._outbox.reply(context.number, reply)
        else:
            code, details, initial, trailing = context.ending()
            rest = b"" if code else reply
            self._outbox.end((context.number, code, details, initial, trailing, rest))
        if self._running.live or self._inbox:
            self._carrier.wake()
        else:
            self._carrier.flush()

    def _shed(self, number: int) -> None:
        """Refuse a call that the server has no time for."""
        admission, code = self._host.admission, grpc.StatusCode.RESOURCE_EXHAUSTED
        trailing = admission.refusal if admission is not None else []
        self._outbox.end((number, code.value[0], OVERLOADED, [], trailing, b""))
        self._carrier.wake()

    def _refuse(self, number: int, code: grpc.StatusCode, details: str) -> None:
        self._end(number, code.value[0], details)

    def _end(self, number: int, code: int, details: str) -> None:
        self._outbox.end((number, code, details, [], [], b""))
        self._carrier.wake()

    def _watch_outbox(self) -> None:
        """Tell the client when too much waits to be sent; begin calls again when less does."""
        unsent = self._outbox.unsent
        if unsent > MAX_UNSENT and not self._is_throttled:
            self._is_throttled = True
            self._control.append((Kind.CREDIT, 0, ""))
        elif self._is_throttled and unsent <= MAX_UNSENT // 2:
            self._is_throttled = False
            self._control.append((Kind.CREDIT, self._host.window, ""))
        if self._inbox and unsent <= MAX_UNSENT:
            self._host.turns.ready(self)
