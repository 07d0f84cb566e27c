"""Serves `engine.mesh.v1.LaneService` for the process that it runs in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from engine.mesh.v1 import lane_pb2 as pb
from engine.mesh.v1.lane_pb2_grpc import LaneServiceServicer
from mesh import context as wire
from mesh.errors import MeshError, MeshReason
from mesh.lane.host import LaneServer
from mesh.lane.listener import Listener
from mesh.lane.server import ServerLane
from mesh.lane.tap import Tap
from mesh.log import get_logger

MAX_LISTENERS: Final = 4

_log = get_logger(__name__)


class LaneRpc(LaneServiceServicer):
    """Shows the lanes of a server.

    Args:
        host: answers the server, once it serves.
    """

    def __init__(self, host: Callable[[], LaneServer]) -> None:
        self._host = host
        self._tap: Tap | None = None
        self._is_closed = False

    async def Tap(self, request: pb.TapRequest, context: Any) -> AsyncIterator[pb.TapResponse]:
        listener = self._join(Listener(method=request.method, caller=request.caller))
        context.add_done_callback(lambda _: self._leave(listener))
        yield pb.TapResponse()
        while (answer := await listener.next()) is not None:
            yield answer

    async def ListLanes(self, _request: pb.ListLanesRequest, _context: Any) -> pb.ListLanesResponse:
        return pb.ListLanesResponse(lanes=map(_info, self._host().lanes))

    def close(self) -> None:
        """End all taps: the process is about to stop."""
        self._is_closed = True
        if self._tap is not None:
            for listener in self._tap.listeners:
                listener.close()

    def _join(self, listener: Listener) -> Listener:
        """Let somebody listen.

        Raises:
            MeshError: the process stops, or enough listen already.
        """
        if self._is_closed:
            raise MeshError(MeshReason.UNAVAILABLE, "The process is about to stop")
        if self._tap is None:
            self._tap = Tap()
            self._host().show(self._tap)
        if len(self._tap.listeners) >= MAX_LISTENERS:
            raise MeshError(MeshReason.OVERLOADED, f"{MAX_LISTENERS} taps are open already")
        self._tap.listeners.append(listener)
        _log.info("lane_tap_begun", by=wire.current().actor, taps=len(self._tap.listeners))
        return listener

    def _leave(self, listener: Listener) -> None:
        if self._tap is None:
            return
        self._tap.listeners.remove(listener)
        _log.info("lane_tap_ended", taps=len(self._tap.listeners))
        if not self._tap.listeners:
            self._tap = None
            self._host().show(None)


def _info(lane: ServerLane) -> pb.LaneInfo:
    info = pb.LaneInfo(
        lane=lane.number,
        caller=lane.caller,
        program=lane.program,
        peer=lane.peer,
        carrier=lane.way,
        calls=lane.calls,
        unsent_bytes=lane.unsent,
        draining=lane.is_draining,
    )
    info.connect_time.FromNanoseconds(int(lane.since * 1e9))
    return info
