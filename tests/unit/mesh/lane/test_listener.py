"""Who looks on at lanes: how many, how much they are shown, and that nothing waits for them."""

from __future__ import annotations

from typing import Any, cast

import pytest

from engine.mesh.v1 import lane_pb2 as pb
from mesh.errors import MeshError
from mesh.lane import listener as listening
from mesh.lane import rpc
from mesh.lane.listener import Listener
from mesh.lane.server import ServerLane
from tests.unit.mesh.lane.tapping import GET, Seen, call


async def test_a_slow_listener_loses_frames_and_is_told_how_many() -> None:
    """Nothing waits for him, and his queue does not grow."""
    seen = Seen()
    for number in range(listening.MAX_QUEUED - 1):
        seen.listener.offer(pb.LaneFrame(number=number))
    seen.heard(call(1), call(2), call(3))
    seen.told(replies=[(1, b""), (2, b""), (3, b"")])
    answer = await seen.listener.next()
    assert answer is not None
    assert answer.lost == 3  # two calls, and the reply of the first
    assert len(answer.frames) == listening.PER_ANSWER
    again = await seen.listener.next()
    assert again is not None
    assert again.lost == 0
    assert len(await seen.frames()) == listening.MAX_QUEUED - 2 * listening.PER_ANSWER


async def test_more_than_so_many_frames_a_second_are_left_out() -> None:
    """Their replies with them; a second later there is room again."""
    now = 0.0
    listener = Listener(now=lambda: now)
    taken = [listener.takes_call(GET) for _ in range(listening.PER_SECOND + 7)]
    assert taken.count(True) == listening.PER_SECOND
    assert not listener.takes_control()
    now = 1.0
    assert listener.takes_call(GET)
    listener.offer(pb.LaneFrame())
    answer = await listener.next()
    assert answer is not None
    assert answer.left_out == 8


async def test_a_call_that_was_left_out_has_no_reply() -> None:
    """A reply alone would say nothing."""
    now = 0.0
    seen = Seen(now=lambda: now)
    for number in range(1, listening.PER_SECOND + 2):
        seen.heard(call(number))
        await seen.listener.next() if number <= listening.PER_SECOND else None
    seen.told(replies=[(listening.PER_SECOND + 1, b"")])
    assert await seen.frames() == []


class FakeHost:
    """A server that remembers what its lanes are shown to."""

    def __init__(self) -> None:
        self.lanes: list[ServerLane] = []
        self.shown_to: Any = None

    def show(self, to: Any) -> None:
        self.shown_to = to


class FakeCall:
    """The context of a call, which ends when told."""

    def __init__(self) -> None:
        self._ended: list[Any] = []

    def add_done_callback(self, callback: Any) -> None:
        self._ended.append(callback)

    def end(self) -> None:
        for callback in self._ended:
            callback(self)


async def test_there_is_a_tap_only_while_somebody_listens() -> None:
    """The lanes show to nobody before the first and after the last; a fifth is refused."""
    host = FakeHost()
    served = rpc.LaneRpc(lambda: cast("Any", host))
    calls = [FakeCall() for _ in range(rpc.MAX_LISTENERS)]
    for one in calls:
        assert await anext(served.Tap(pb.TapRequest(), one)) == pb.TapResponse()
        assert host.shown_to is not None
    with pytest.raises(MeshError, match="4 taps"):
        await anext(served.Tap(pb.TapRequest(), FakeCall()))
    calls[0].end()
    another = FakeCall()
    await anext(served.Tap(pb.TapRequest(), another))
    for one in (*calls[1:], another):
        assert host.shown_to is not None
        one.end()
    assert host.shown_to is None


async def test_taps_end_when_the_process_stops() -> None:
    """Those that stand end, and there is no further one."""
    served = rpc.LaneRpc(lambda: cast("Any", FakeHost()))
    stream = served.Tap(pb.TapRequest(), FakeCall())
    await anext(stream)
    served.close()
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    with pytest.raises(MeshError, match="about to stop"):
        await anext(served.Tap(pb.TapRequest(), FakeCall()))
