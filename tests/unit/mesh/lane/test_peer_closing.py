"""A peer that is closed, and what it costs to call one."""

from __future__ import annotations

import asyncio

from mesh.lane.frames import (
    ServerBatch,
    encode,
)
from mesh.peer import (
    FORGET_S,
    Peer,
)
from tests.unit.mesh.lane.dialling import (
    PATH,
    Calls,
    Dialler,
    call,
    carrier,
    filled,
    opened,
)
from tests.unit.mesh.lane.world import CUT, Clock


async def test_closing_gives_back_what_waits_and_ends_what_does_not_end(
    peer: Peer, dialler: Dialler, calls: Calls
) -> None:
    """Without grace at once."""
    lane = await filled(peer, dialler)
    lane.submit(waits := call())
    carrier(lane).write()
    await peer.close(None)
    assert (waits, False) in calls.given_back
    assert [sent for _, sent in calls.given_back] == [False, True, True]
    assert lane.closed.done()


async def test_closing_waits_for_calls_under_way(
    peer: Peer, dialler: Dialler, calls: Calls
) -> None:
    """Until they are answered, or the time is over."""
    lane = await opened(peer, dialler)
    lane.submit(under_way := call())
    carrier(lane).write()
    closing = asyncio.ensure_future(peer.close(60))
    await asyncio.sleep(0)
    assert not closing.done()
    reply: ServerBatch = ([], [(1, b"reply")], [], [])
    lane.feed(encode(reply))
    assert await under_way == b"reply"
    assert carrier(lane).is_closed
    lane.detached(carrier(lane), CUT)
    await closing
    assert not calls.given_back


async def test_closing_does_not_wait_for_a_lane_that_never_opened(
    peer: Peer, dialler: Dialler, calls: Calls
) -> None:
    """Its dial was given up, so there is nothing to wait for."""
    lane = peer.lane(PATH)
    assert lane is not None
    lane.submit(waits := call())
    await peer.close(1e9)
    assert calls.given_back == [(waits, False)]


async def test_cost_is_load_times_latency_and_fades(peer: Peer, clock: Clock) -> None:
    """So that a peer that was slow once is tried again."""
    peer.observe(1.0)
    early = peer.cost(clock.now)
    assert early > 0
    assert peer.cost(clock.now + 10 * FORGET_S) < early / 1_000
    for _ in range(100):
        peer.observe(0.001)
    assert peer.cost(clock.now) < early / 10


async def test_load_counts_in_the_cost(peer: Peer, dialler: Dialler, clock: Clock) -> None:
    """Of two that are equally fast the one with less to do is cheaper."""
    peer.lane(PATH)
    await dialler.end()
    peer.observe(1.0)
    idle = peer.cost(clock.now)
    dialler.tried[0].submit(call())
    assert peer.cost(clock.now) == 2 * idle
