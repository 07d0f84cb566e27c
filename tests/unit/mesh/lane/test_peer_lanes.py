"""A peer with a lane that stands: a second one, lanes that are lost, and calls that fit on none."""

from __future__ import annotations

import asyncio

import grpc

from mesh.lane.call import UnaryCall
from mesh.lane.frames import (
    MAX_REQUEST,
    Kind,
    LaneError,
    NotServedError,
    ServerBatch,
    encode,
)
from mesh.peer import (
    FIRST_BACKOFF_S,
    LAST_BACKOFF_S,
    MAX_LANES,
    Peer,
)
from tests.unit.mesh.lane.dialling import (
    PATH,
    Calls,
    Dialler,
    call,
    carrier,
    filled,
    lose,
    opened,
)
from tests.unit.mesh.lane.world import Clock


async def test_a_second_lane_is_opened_when_the_first_is_full(peer: Peer, dialler: Dialler) -> None:
    """Calls wait on the first until it stands; then the emptier one is taken."""
    first = await filled(peer, dialler)
    assert len(dialler.tried) == 1
    assert peer.lane(PATH) is first
    await dialler.end()
    second = peer.lane(PATH)
    assert dialler.tried == [first, second]
    assert second is not None
    second.submit(call())
    second.submit(call())
    second.submit(call())
    assert peer.lane(PATH) is first


async def test_no_more_than_two_lanes_are_opened(peer: Peer, dialler: Dialler) -> None:
    """More connections would not be faster."""
    await filled(peer, dialler)
    peer.lane(PATH)
    await dialler.end()
    for _ in range(20):
        lane = peer.lane(PATH)
        assert lane is not None
        lane.submit(call())
    await asyncio.sleep(0)
    assert len(dialler.tried) == MAX_LANES


async def test_a_second_lane_that_fails_is_not_dialled_at_every_call(
    peer: Peer, dialler: Dialler, clock: Clock
) -> None:
    """It has its back-off, too; calls stay on the first."""
    first = await filled(peer, dialler)
    peer.lane(PATH)
    await dialler.end(LaneError("no"))
    for _ in range(20):
        assert peer.lane(PATH) is first
        await asyncio.sleep(0)
    assert len(dialler.tried) == 2
    clock.now += LAST_BACKOFF_S
    peer.lane(PATH)
    await asyncio.sleep(0)
    assert len(dialler.tried) == 3


async def test_what_may_have_run_is_not_carried_though_the_peer_has_no_lanes_any_more(
    peer: Peer, dialler: Dialler, calls: Calls
) -> None:
    """A second dial that meets an older server must not send the first lane's calls again."""
    first = await filled(peer, dialler)
    under_way = list(first._waiting)
    carrier(first).write()
    peer.lane(PATH)
    await dialler.end(NotServedError("no lanes"))
    lose(first)
    assert calls.given_back == [(each, True) for each in under_way]
    assert not calls.carried


async def test_a_lane_that_was_lost_is_opened_anew_and_waited_for(
    peer: Peer, dialler: Dialler
) -> None:
    """The first failure of an attempt is what sends calls the ordinary way."""
    first = await opened(peer, dialler)
    lose(first)
    second = peer.lane(PATH)
    assert second not in {None, first}


async def test_a_lane_that_finds_silence_takes_the_ordinary_channel_along(
    peer: Peer, dialler: Dialler, calls: Calls
) -> None:
    """What it gives back goes by a connection that is not known to be dead."""
    lane = await opened(peer, dialler)
    lane.submit(lost := call())
    carrier(lane).write()
    ordinary = peer.ordinary
    under_way = peer.bound("unary_unary", PATH, (None, None))(b"", wait_for_ready=True)
    assert peer.waits
    lane.silent()
    assert await under_way.code() is grpc.StatusCode.UNAVAILABLE
    assert not peer.waits
    assert calls.given_back == [(lost, True)]
    assert peer.ordinary is not ordinary


async def test_a_call_that_lost_its_lane_does_not_wait_for_the_next(
    peer: Peer, dialler: Dialler
) -> None:
    """It goes the ordinary way at once."""
    first = await opened(peer, dialler)
    lose(first)
    assert peer.lane(PATH, opening=False) is None
    await asyncio.sleep(0)
    assert len(dialler.tried) == 2


async def test_a_peer_that_sends_us_away_is_passed_over_for_a_while(
    peer: Peer, dialler: Dialler, clock: Clock
) -> None:
    """It stops; another one may serve."""
    peer.lane(PATH)
    await dialler.end()
    away: ServerBatch = ([], [], [], [(Kind.GO_AWAY, 0, "stopping")])
    dialler.tried[0].feed(encode(away))
    assert peer.is_lost
    assert peer.lane(PATH) is None
    clock.now += FIRST_BACKOFF_S
    peer.lane(PATH)
    await asyncio.sleep(0)
    assert len(dialler.tried) == 2


async def test_a_method_that_lanes_do_not_serve_goes_elsewhere_from_then_on(
    peer: Peer, dialler: Dialler, calls: Calls
) -> None:
    """Others stay on the lane."""
    lane = await opened(peer, dialler)
    lane.submit(first := call("/t.T/Stream"))
    carrier(lane).write()
    not_here: ServerBatch = ([], [], [(1, 255, "", [], [], b"")], [])
    lane.feed(encode(not_here))
    assert calls.carried == [first]
    assert peer.lane("/t.T/Stream") is None
    assert peer.lane(PATH) is lane


async def test_a_request_that_is_too_large_for_a_lane_goes_the_ordinary_way(
    peer: Peer, dialler: Dialler, calls: Calls
) -> None:
    """It alone: other calls of its method stay on the lane."""
    lane = peer.lane(PATH)
    assert lane is not None
    await dialler.end()
    lane.submit(large := UnaryCall(PATH, bytes(MAX_REQUEST + 1), None, float("inf")))
    carrier(lane).write()
    assert calls.carried == [large]
    assert peer.lane(PATH) is lane
