"""Shows the frames of a process's lanes to those who listen, redacted before they leave it.

There is a tap only while somebody listens; a server's end of a lane gives it each batch
that comes and goes. What it fails at is lost to the listeners, never to the lane.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

from engine.mesh.v1 import lane_pb2 as pb
from mesh.errors import status_code
from mesh.lane.frames import (
    NOT_HERE,
    CallFrame,
    ClientBatch,
    Control,
    EndFrame,
    Kind,
    ReplyFrame,
    ServerBatch,
)
from mesh.lane.listener import Listener
from mesh.lane.redaction import Redactor, metadata, reason, text
from mesh.lane.server import Block, ServerLane
from mesh.lane.serving import Method
from mesh.log import get_logger
from mesh.telemetry import TraceContext

MAX_CALLS: Final = 4_096
"""Calls of a lane that are remembered until their reply; then the oldest is forgotten."""

_KINDS: Final[Mapping[int, pb.LaneFrameKind.ValueType]] = {
    Kind.CANCEL: pb.LANE_FRAME_KIND_CANCEL,
    Kind.CREDIT: pb.LANE_FRAME_KIND_CREDIT,
    Kind.GO_AWAY: pb.LANE_FRAME_KIND_GO_AWAY,
    Kind.PING: pb.LANE_FRAME_KIND_PING,
    Kind.PONG: pb.LANE_FRAME_KIND_PONG,
    Kind.DROP: pb.LANE_FRAME_KIND_DROP,
}
_log = get_logger(__name__)


@dataclass(slots=True)
class _Call:
    """A call whose reply has not passed yet."""

    path: str
    takers: Sequence[Listener]
    began: float
    in_pieces: bool = False


@contextmanager
def _harmless() -> Iterator[None]:
    """Let no defect here break the lane that is looked at; an error's text may hold payload."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - as said
        _log.error("lane_tap_failed", error=type(error).__name__)


class Tap:
    """Makes frames of batches. `listeners` are those who see them."""

    def __init__(self) -> None:
        self.listeners: list[Listener] = []
        self._redactor = Redactor()
        self._calls: WeakKeyDictionary[ServerLane, dict[int, _Call]] = WeakKeyDictionary()

    def heard(
        self,
        lane: ServerLane,
        batch: ClientBatch,
        methods: Mapping[int, Method | int | None],
        blocks: Mapping[int, Block],
    ) -> None:
        """A client's batch has come; `methods` and `blocks` are what is known with it."""
        listeners = self._listeners(lane)
        if not listeners:
            return
        named, said, calls, control = batch
        with _harmless():
            for number, path in named:
                kind = pb.LANE_FRAME_KIND_NAME
                _to_all(listeners, _frame(lane, kind, number, method=text(path)))
            for number, pairs in said:
                frame = _frame(lane, pb.LANE_FRAME_KIND_BLOCK, number)
                _add_metadata(frame, pairs)
                _to_all(listeners, frame)
            for call in calls:
                self._call(lane, call, methods, blocks)
            self._control(lane, control)

    def told(self, lane: ServerLane, batch: ServerBatch) -> None:
        """A batch of the server goes out."""
        if not self._listeners(lane):
            return
        pieces, replies, endings, control = batch
        calls = self._open_calls(lane)
        with _harmless():
            for number, piece in pieces:
                if number in calls:
                    self._piece(lane, calls[number], number, len(piece))
            for reply in replies:
                if reply[0] in calls:
                    self._reply(lane, calls.pop(reply[0]), reply)
            for ending in endings:
                if ending[0] in calls:
                    self._end(lane, calls.pop(ending[0]), ending)
            self._control(lane, control, outgoing=True)

    def _call(
        self,
        lane: ServerLane,
        call: CallFrame,
        methods: Mapping[int, Method | int | None],
        blocks: Mapping[int, Block],
    ) -> None:
        number, method, timeout_us, block, trace, own, request = call
        found = methods.get(method)
        path = found.path if isinstance(found, Method) else ""
        takers = [one for one in self._listeners(lane) if one.takes_call(path)]
        calls = self._open_calls(lane)
        if len(calls) >= MAX_CALLS:
            del calls[next(iter(calls))]
        calls[number] = _Call(path, takers, time.monotonic())
        if not takers:
            return
        frame = _frame(lane, pb.LANE_FRAME_KIND_CALL, number, method=path, size=len(request))
        if timeout_us:
            frame.timeout.FromMicroseconds(timeout_us)
        if block in blocks:
            _add_metadata(frame, blocks[block].pairs)
        _add_metadata(frame, own)
        context = TraceContext.from_bytes(trace) if trace else None
        frame.trace_id = context.trace_hex if context is not None else ""
        frame.payload = self._redactor.request(path, request)
        _offer(takers, frame)

    def _piece(self, lane: ServerLane, call: _Call, number: int, size: int) -> None:
        call.in_pieces = True
        takers = [one for one in call.takers if one.takes_piece()]
        if takers:
            kind = pb.LANE_FRAME_KIND_PIECE
            _offer(takers, _frame(lane, kind, number, method=call.path, size=size, outgoing=True))

    def _reply(self, lane: ServerLane, call: _Call, reply: ReplyFrame) -> None:
        if call.takers:
            _offer(call.takers, self._ended(lane, call, pb.LANE_FRAME_KIND_REPLY, reply))

    def _end(self, lane: ServerLane, call: _Call, ending: EndFrame) -> None:
        if not call.takers:
            return
        number, code, details, initial, trailing, reply = ending
        frame = self._ended(lane, call, pb.LANE_FRAME_KIND_END, (number, reply))
        frame.status = "NOT_HERE" if code == NOT_HERE else status_code(code).name
        frame.reason = reason(trailing)
        frame.text = text(details)
        _add_metadata(frame, initial)
        _add_metadata(frame, trailing)
        _offer(call.takers, frame)

    def _ended(
        self, lane: ServerLane, call: _Call, kind: pb.LaneFrameKind.ValueType, reply: ReplyFrame
    ) -> pb.LaneFrame:
        """A frame that ends a call; the last piece of a reply cannot be read by itself."""
        number, payload = reply
        frame = _frame(lane, kind, number, method=call.path, size=len(payload), outgoing=True)
        frame.elapsed.FromMicroseconds(int((time.monotonic() - call.began) * 1e6))
        if payload and not call.in_pieces:
            frame.payload = self._redactor.reply(call.path, payload)
        return frame

    def _control(
        self, lane: ServerLane, control: Iterable[Control], *, outgoing: bool = False
    ) -> None:
        for kind, number, said in control:
            known = _KINDS.get(kind)
            if known is None:
                continue
            call = self._open_calls(lane).get(number) if kind == Kind.CANCEL else None
            path = call.path if call is not None else ""
            frame = _frame(lane, known, number, method=path, text=text(said), outgoing=outgoing)
            if call is not None:
                _offer(call.takers, frame)
            else:
                _to_all(self._listeners(lane), frame)

    def _listeners(self, lane: ServerLane) -> list[Listener]:
        return [one for one in self.listeners if one.hears(lane.caller)]

    def _open_calls(self, lane: ServerLane) -> dict[int, _Call]:
        found = self._calls.get(lane)
        if found is None:
            found = self._calls[lane] = {}
        return found


def _frame(
    lane: ServerLane, kind: pb.LaneFrameKind.ValueType, number: int, **more: Any
) -> pb.LaneFrame:
    frame = pb.LaneFrame(lane=lane.number, caller=lane.caller, kind=kind, number=number, **more)
    frame.time.FromNanoseconds(time.time_ns())
    return frame


def _offer(takers: Iterable[Listener], frame: pb.LaneFrame) -> None:
    for listener in takers:
        listener.offer(frame)


def _to_all(listeners: Iterable[Listener], frame: pb.LaneFrame) -> None:
    """A frame that belongs to no call."""
    _offer([one for one in listeners if one.takes_control()], frame)


def _add_metadata(frame: pb.LaneFrame, pairs: Any) -> None:
    for key, value in metadata(pairs):
        frame.metadata.add(key=key, value=value)
