"""A peer and its lanes: when they are dialled, and what calls do meanwhile."""

from __future__ import annotations

import asyncio
import random

import pytest

from mesh.lane.dial import Way
from mesh.lane.frames import (
    LaneError,
    NotServedError,
    RefusedError,
    client_batch,
)
from mesh.peer import (
    FIRST_BACKOFF_S,
    LAST_BACKOFF_S,
    PLAIN_S,
    Dialling,
    Peer,
)
from tests.unit.mesh.lane.dialling import (
    ENDPOINT,
    PATH,
    Calls,
    Dialler,
    call,
    carrier,
)
from tests.unit.mesh.lane.world import Clock


@pytest.fixture
def longest(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Random choices come out as the largest; what was asked for."""
    asked: list[float] = []

    def uniform(low: float, high: float) -> float:
        asked[:] = [low, high]
        return high

    monkeypatch.setattr(random, "uniform", uniform)
    return asked


async def test_the_first_dial_is_waited_for(peer: Peer, dialler: Dialler) -> None:
    """Calls are given to the lane that is being opened."""
    lane = peer.lane(PATH)
    assert lane is not None
    assert peer.lane(PATH) is lane
    lane.submit(call())
    await dialler.end()
    carrier(lane).write()
    assert len(client_batch(carrier(lane).sent[-1])[2]) == 1
    assert dialler.tried == [lane]


async def test_after_a_failure_calls_go_the_ordinary_way_meanwhile(
    peer: Peer, dialler: Dialler, clock: Clock
) -> None:
    """No call waits for a further attempt, and none is made before its time."""
    peer.lane(PATH)
    await dialler.end(LaneError("no"))
    assert peer.lane(PATH) is None
    clock.now += FIRST_BACKOFF_S
    assert peer.lane(PATH) is None
    await asyncio.sleep(0)
    assert len(dialler.tried) == 2
    assert peer.lane(PATH) is None
    await dialler.end()
    assert peer.lane(PATH) is dialler.tried[1]


async def test_back_off_grows_to_its_bound_with_jitter(
    peer: Peer, dialler: Dialler, clock: Clock, longest: list[float]
) -> None:
    """Between half of it and all of it; a success begins anew."""
    expected = FIRST_BACKOFF_S
    for _ in range(8):
        peer.lane(PATH)
        await dialler.end(LaneError("no"))
        assert longest == [0.5, 1.0]
        assert peer._dial_at == clock.now + expected
        clock.now += expected - 0.001
        peer.lane(PATH)
        assert not peer._lanes
        clock.now += 0.002
        expected = min(2 * expected, LAST_BACKOFF_S)
    assert expected == LAST_BACKOFF_S
    peer.lane(PATH)
    await dialler.end()
    assert peer._backoff_s == FIRST_BACKOFF_S


@pytest.mark.parametrize("error", [NotServedError("no lanes"), RefusedError("not you")])
async def test_a_peer_without_lanes_is_not_asked_again_for_long(
    peer: Peer, dialler: Dialler, clock: Clock, calls: Calls, error: LaneError
) -> None:
    """Calls that waited go the ordinary way to it: it is there."""
    lane = peer.lane(PATH)
    assert lane is not None
    lane.submit(waits := call())
    await dialler.end(error)
    assert calls.carried == [waits]
    assert not calls.given_back
    assert not peer.is_lost
    clock.now += PLAIN_S - 0.1
    assert peer.lane(PATH) is None
    assert len(dialler.tried) == 1
    clock.now += 0.2
    assert peer.lane(PATH) is None
    await asyncio.sleep(0)
    assert len(dialler.tried) == 2


async def test_calls_that_waited_for_a_lane_that_failed_may_go_anywhere(
    peer: Peer, dialler: Dialler, calls: Calls
) -> None:
    """They were not sent."""
    lane = peer.lane(PATH)
    assert lane is not None
    lane.submit(waits := call())
    await dialler.end(LaneError("no"))
    assert calls.given_back == [(waits, False)]
    assert peer.is_lost


async def test_without_carriers_no_lane_is_dialled(dialler: Dialler, clock: Clock) -> None:
    """All calls go the ordinary way."""
    peer = Peer(ENDPOINT, Dialling(way=Way(carriers=())), Calls())
    clock.now += 1e9
    assert peer.lane(PATH) is None
    await asyncio.sleep(0)
    assert not dialler.tried
