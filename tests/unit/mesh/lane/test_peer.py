"""A peer and its lanes: when they are dialled, and what calls do meanwhile."""

from __future__ import annotations

import asyncio
import random
from types import SimpleNamespace
from typing import Any

import pytest

from mesh import peer as module
from mesh.lane.call import UnaryCall
from mesh.lane.client import ClientLane
from mesh.lane.dial import Endpoint, Way
from mesh.lane.frames import (
    MAX_REQUEST,
    Kind,
    LaneError,
    NotServedError,
    RefusedError,
    ServerBatch,
    client_batch,
    encode,
)
from mesh.peer import (
    FIRST_BACKOFF_S,
    FORGET_S,
    LAST_BACKOFF_S,
    MAX_LANES,
    PLAIN_S,
    Dialling,
    Peer,
)
from tests.unit.mesh.lane.fuzzing import SERVER_HELLO
from tests.unit.mesh.lane.world import CUT, Clock, Wire

PATH = "/t.T/Do"
ENDPOINT = Endpoint("unix:/nowhere/plain.sock", ("unix:/nowhere/s.lane",))


class Calls:
    """What a peer says of calls that its lanes did not bring back."""

    def __init__(self) -> None:
        self.given_back: list[tuple[UnaryCall, bool]] = []
        self.carried: list[UnaryCall] = []

    def returned(self, call: UnaryCall, peer: Peer, *, sent: bool, reason: str) -> None:
        self.given_back.append((call, sent))

    def carry(self, call: UnaryCall, peer: Peer) -> None:
        self.carried.append(call)


class Dialler:
    """Dials when the test says so; `window` calls may be under way on a lane."""

    def __init__(self) -> None:
        self.window = 2
        self.tried: list[ClientLane] = []
        self.contexts: list[Any] = []
        self._ends: asyncio.Queue[Exception | None] = asyncio.Queue()

    async def __call__(self, lane: ClientLane, *_: Any) -> None:
        self.tried.append(lane)
        end = await self._ends.get()
        if end is not None:
            raise end
        wire = Wire()
        wire.session = lane
        lane.attach(wire)
        lane.feed(SERVER_HELLO)
        wire.write()
        credit: ServerBatch = ([], [], [], [(Kind.CREDIT, self.window, "")])
        lane.feed(encode(credit))

    async def end(self, error: Exception | None = None) -> None:
        """The attempt that is under way, or the next one, ends like this."""
        self._ends.put_nowait(error)
        for _ in range(5):
            await asyncio.sleep(0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time by which a peer waits."""
    clock = Clock()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock))
    return clock


@pytest.fixture
def dialler(monkeypatch: pytest.MonkeyPatch) -> Dialler:
    """Dials for all peers."""
    dialler = Dialler()
    monkeypatch.setattr(module, "dial", dialler)
    return dialler


@pytest.fixture
def calls() -> Calls:
    """What became of calls."""
    return Calls()


@pytest.fixture
async def peer(dialler: Dialler, clock: Clock, calls: Calls) -> Any:
    """A peer that was not dialled yet."""
    peer = Peer(ENDPOINT, Dialling(), calls)
    yield peer
    await peer.close(None)


@pytest.fixture
def longest(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Random choices come out as the largest; what was asked for."""
    asked: list[float] = []

    def uniform(low: float, high: float) -> float:
        asked[:] = [low, high]
        return high

    monkeypatch.setattr(random, "uniform", uniform)
    return asked


def call(path: str = PATH) -> UnaryCall:
    return UnaryCall(path, b"", None, float("inf"))


def carrier(lane: ClientLane) -> Wire:
    assert isinstance(lane._carrier, Wire)
    return lane._carrier


async def fill(peer: Peer) -> ClientLane:
    """Calls on a lane of a peer until it is full."""
    lane = peer.lane(PATH)
    assert lane is not None
    while not lane.is_full:
        lane.submit(call())
    return lane


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


async def test_a_second_lane_is_opened_when_the_first_is_full(peer: Peer, dialler: Dialler) -> None:
    """Calls wait on the first until it stands; then the emptier one is taken."""
    peer.lane(PATH)
    await dialler.end()
    first = await fill(peer)
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
    peer.lane(PATH)
    await dialler.end()
    await fill(peer)
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
    peer.lane(PATH)
    await dialler.end()
    first = await fill(peer)
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
    peer.lane(PATH)
    await dialler.end()
    first = await fill(peer)
    under_way = list(first._waiting)
    carrier(first).write()
    peer.lane(PATH)
    await dialler.end(NotServedError("no lanes"))
    first.detached(carrier(first), CUT)
    assert calls.given_back == [(each, True) for each in under_way]
    assert not calls.carried


async def test_a_lane_that_was_lost_is_opened_anew_and_waited_for(
    peer: Peer, dialler: Dialler
) -> None:
    """The first failure of an attempt is what sends calls the ordinary way."""
    peer.lane(PATH)
    await dialler.end()
    first = dialler.tried[0]
    first.detached(carrier(first), CUT)
    second = peer.lane(PATH)
    assert second not in {None, first}


async def test_a_call_that_lost_its_lane_does_not_wait_for_the_next(
    peer: Peer, dialler: Dialler
) -> None:
    """It goes the ordinary way at once."""
    peer.lane(PATH)
    await dialler.end()
    first = dialler.tried[0]
    first.detached(carrier(first), CUT)
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
    peer.lane(PATH)
    await dialler.end()
    lane = dialler.tried[0]
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


async def test_without_carriers_no_lane_is_dialled(dialler: Dialler, clock: Clock) -> None:
    """All calls go the ordinary way."""
    peer = Peer(ENDPOINT, Dialling(way=Way(carriers=())), Calls())
    clock.now += 1e9
    assert peer.lane(PATH) is None
    await asyncio.sleep(0)
    assert not dialler.tried


async def test_closing_gives_back_what_waits_and_ends_what_does_not_end(
    peer: Peer, dialler: Dialler, calls: Calls
) -> None:
    """Without grace at once."""
    peer.lane(PATH)
    await dialler.end()
    lane = await fill(peer)
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
    peer.lane(PATH)
    await dialler.end()
    lane = dialler.tried[0]
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
