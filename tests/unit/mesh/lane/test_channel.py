"""A channel over real lanes: which calls go by them, and what becomes of calls at the edges."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

import mesh.lane
from engine.mesh.v1 import bus_pb2
from mesh.channel import Channel, Endpoint
from mesh.lane.frames import MAX_KEY, MAX_METADATA, MAX_PATH, MAX_REQUEST
from mesh.lane.stream import METHOD

BUS = bus_pb2.DESCRIPTOR.services_by_name["BusService"].full_name
APPEND, LIST_GROUPS = f"/{BUS}/Append", f"/{BUS}/ListGroups"
"""A method that may run once, and one that may run twice."""


class Service(grpc.GenericRpcHandler):
    """Answers with the request, and notes by which way each call came."""

    def __init__(self) -> None:
        self.ways: list[str] = []
        self.held: asyncio.Queue[asyncio.Future[bytes]] = asyncio.Queue()

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        if details.method == METHOD:
            return None
        if details.method == "/t.T/Stream":
            return grpc.unary_stream_rpc_method_handler(self.stream)
        if details.method == "/t.T/Blocking":
            return grpc.unary_unary_rpc_method_handler(self.block)
        if details.method in {"/t.T/Hold", APPEND, LIST_GROUPS}:
            return grpc.unary_unary_rpc_method_handler(self.hold)
        return grpc.unary_unary_rpc_method_handler(self.echo)

    def note(self, context: Any) -> None:
        self.ways.append("lane" if hasattr(context, "lane") else "plain")

    async def echo(self, request: bytes, context: Any) -> bytes:
        self.note(context)
        return request

    def block(self, request: bytes, context: Any) -> bytes:
        self.note(context)
        return request

    async def stream(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        self.note(context)
        yield request

    async def hold(self, _request: bytes, context: Any) -> bytes:
        self.note(context)
        told: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.held.put_nowait(told)
        return await told


class Place:
    """A service that runs, and can be stopped and started again."""

    def __init__(self, folder: Path, name: str) -> None:
        self.service = Service()
        self.endpoint = Endpoint(f"unix:{folder}/{name}.sock", (f"unix:{folder}/{name}.lane",))
        self.server: Any = None

    async def start(self) -> None:
        self.server = mesh.lane.server(handlers=[self.service])
        self.server.add_insecure_port(self.endpoint.address)
        self.server.add_lane_port(self.endpoint.lanes[0])
        await self.server.start()

    async def stop(self, grace: float | None = None) -> None:
        await self.server.stop(grace)


@pytest.fixture
async def places(var: Path) -> AsyncIterator[list[Place]]:
    """Two processes of a service, as it were."""
    places = [Place(var, name) for name in ("a", "b")]
    for place in places:
        await place.start()
    yield places
    for place in places:
        await place.stop()


@pytest.fixture
async def place(places: list[Place]) -> Place:
    """One of them."""
    return places[0]


@asynccontextmanager
async def channel_to(*places: Place, **more: Any) -> AsyncIterator[Channel]:
    async with Channel("t", [place.endpoint for place in places], **more) as channel:
        yield channel


async def send(
    channel: Channel, path: str = "/t.T/Echo", request: bytes = b"x", **more: Any
) -> Any:
    """One call; its answer."""
    return await channel.unary_unary(path)(request, **more)


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop turn until something holds."""
    for _ in range(100_000):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never does")


async def _outcome(call: Any) -> Any:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    except asyncio.CancelledError:
        return grpc.StatusCode.CANCELLED


# Which way.


async def test_small_calls_go_by_lane(place: Place) -> None:
    """Up to the largest request."""
    async with channel_to(place) as channel:
        for size in (0, 1, MAX_REQUEST):
            assert await send(channel, request=bytes(size)) == bytes(size)
    assert place.service.ways == ["lane"] * 3


async def test_large_requests_take_the_ordinary_path(place: Place) -> None:
    """One byte more is enough; the lane goes on for the others."""
    async with channel_to(place) as channel:
        assert await send(channel, request=bytes(MAX_REQUEST + 1)) == bytes(MAX_REQUEST + 1)
        await send(channel)
    assert place.service.ways == ["plain", "lane"]


@pytest.mark.parametrize(
    "metadata",
    [(("x-large", "v" * MAX_METADATA),), (("k" * (MAX_KEY + 1), "v"),)],
    ids=["size", "key"],
)
async def test_oversized_metadata_takes_the_ordinary_path(
    place: Place, metadata: tuple[tuple[str, str], ...]
) -> None:
    """There it is decided as ever; no other call on the lane is the worse for it."""
    async with channel_to(place) as channel:
        await send(channel)
        held = channel.unary_unary("/t.T/Hold")(b"")
        told = await place.service.held.get()
        await _outcome(channel.unary_unary("/t.T/Echo")(b"", metadata=metadata))
        told.set_result(b"held")
        assert await held == b"held"
    assert place.service.ways[:2] == ["lane", "lane"]
    assert "lane" not in place.service.ways[2:]


async def test_a_path_that_lanes_cannot_name_takes_the_ordinary_path(place: Place) -> None:
    """It is longer than a lane keeps."""
    async with channel_to(place) as channel:
        assert await send(channel, "/t.T/" + "x" * MAX_PATH) == b"x"
    assert place.service.ways == ["plain"]


async def test_without_carriers_all_calls_take_the_ordinary_path(place: Place) -> None:
    """Lanes can be switched off."""
    async with channel_to(place, carriers=()) as channel:
        await send(channel)
    assert place.service.ways == ["plain"]


@pytest.mark.parametrize("path", ["/t.T/Blocking", "/t.T/Stream"])
async def test_handlers_that_lanes_do_not_serve_are_reached_the_ordinary_way(
    place: Place, path: str
) -> None:
    """Each call runs once; from the second on none asks the lane first."""
    async with channel_to(place) as channel:
        for n in range(3):
            assert await send(channel, path, bytes([n])) == bytes([n])
        await send(channel)
    assert place.service.ways == ["plain"] * 3 + ["lane"]


# Which endpoint.


async def test_the_faster_endpoint_is_preferred(
    places: list[Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what calls to each have taken; no clock is asked."""
    monkeypatch.setattr(random, "choice", lambda peers: peers[0])
    async with channel_to(*places) as channel:
        for _ in range(2):
            await send(channel)
        fast, slow = (channel.balancer.peers.known[place.endpoint] for place in places)
        for peer, seconds in ((fast, 0.001), (slow, 10.0)):
            for _ in range(100):
                peer.observe(seconds)
        for place in places:
            place.service.ways.clear()
        for _ in range(10):
            assert channel.choose() is fast


async def test_an_endpoint_that_is_lost_is_passed_over(places: list[Place]) -> None:
    """Until it is there again."""
    async with channel_to(*places) as channel:
        for _ in range(4):
            await send(channel)
        await places[0].stop()
        for _ in range(6):
            assert await send(channel) == b"x"
        assert channel.balancer.peers.known[places[0].endpoint].is_lost
        places[1].service.ways.clear()
        for _ in range(6):
            await send(channel)
        assert len(places[1].service.ways) == 6


async def test_calls_in_flight_end_when_their_endpoint_leaves(places: list[Place]) -> None:
    """It is called no more; its lane is closed after the last answer."""
    endpoints = [places[0].endpoint]
    async with Channel("t", lambda: list(endpoints)) as channel:
        held = channel.unary_unary("/t.T/Hold")(b"")
        told = await places[0].service.held.get()
        endpoints[:] = [places[1].endpoint]
        assert await send(channel) == b"x"
        told.set_result(b"held")
        assert await held == b"held"
        assert places[1].service.ways == ["lane"]
        assert places[0].service.ways == ["lane"]


async def test_closing_the_channel_ends_calls_to_endpoints_that_have_left(
    places: list[Place],
) -> None:
    """Nothing of them is left behind, neither call nor connection."""
    endpoints = [places[0].endpoint]
    async with Channel("t", lambda: list(endpoints)) as channel:
        held = channel.unary_unary("/t.T/Hold")(b"", timeout=1e6)
        await places[0].service.held.get()
        endpoints[:] = [places[1].endpoint]
        await send(channel)
    assert await _outcome(held) is grpc.StatusCode.CANCELLED
    await until(lambda: not places[0].server._lanes)


# Lost connections, restarts, ends.


def cut(channel: Channel, place: Place) -> None:
    """Cut all lanes to a place."""
    for lane in channel.balancer.peers.known[place.endpoint]._lanes:
        lane._carrier._transport.abort()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("path", "ran"), [(APPEND, 1), (LIST_GROUPS, 2)], ids=["once", "idempotent"]
)
async def test_a_request_is_never_sent_again_on_the_other_path_when_it_may_have_run(
    place: Place, path: str, ran: int
) -> None:
    """Unless its contract says that a second time does no harm."""
    async with channel_to(place) as channel:
        call = channel.unary_unary(path)(b"")
        await place.service.held.get()
        cut(channel, place)
        if ran == 2:
            (await place.service.held.get()).set_result(b"again")
            assert await call == b"again"
        else:
            assert await _outcome(call) is grpc.StatusCode.UNAVAILABLE
        await send(channel)
    assert place.service.ways == ["lane", *["plain"] * (ran - 1), "lane"]


async def test_a_connection_that_is_lost_fails_every_call_on_it(place: Place) -> None:
    """None is left hanging."""
    async with channel_to(place) as channel:
        calls = [channel.unary_unary("/t.T/Hold")(b"", timeout=1e6) for _ in range(50)]
        for _ in calls:
            await place.service.held.get()
        cut(channel, place)
        outcomes = {await _outcome(call) for call in calls}
    assert outcomes == {grpc.StatusCode.UNAVAILABLE}


async def test_a_channel_finds_a_peer_again_after_its_restart(place: Place) -> None:
    """Calls after it go by lane as before."""
    async with channel_to(place) as channel:
        await send(channel)
        await place.stop()
        await place.start()
        assert await send(channel, wait_for_ready=True) == b"x"
        place.service.ways.clear()
        while place.service.ways[-1:] != ["lane"]:
            await send(channel)


async def test_a_server_that_stops_loses_no_call(place: Place) -> None:
    """What it has accepted is answered; what it has not goes another way."""
    async with channel_to(place) as channel:
        held = channel.unary_unary("/t.T/Hold")(b"")
        told = await place.service.held.get()
        stopping = asyncio.ensure_future(place.stop(1e6))
        await until(lambda: all(lane.is_draining for lane in place.server._lanes))
        told.set_result(b"held")
        assert await held == b"held"
        await stopping
    await place.start()


async def test_closing_with_grace_waits_for_answers(place: Place) -> None:
    """As long as it is told to."""
    channel = Channel("t", [place.endpoint])
    held = channel.unary_unary("/t.T/Hold")(b"")
    told = await place.service.held.get()
    closing = asyncio.ensure_future(channel.close(1e6))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not closing.done()
    told.set_result(b"held")
    assert await held == b"held"
    await closing


async def test_closing_without_grace_ends_every_call(place: Place) -> None:
    """On lanes, and those that a lane has sent the ordinary way."""
    channel = Channel("t", [place.endpoint])
    calls = [channel.unary_unary("/t.T/Hold")(b"", timeout=1e6) for _ in range(3)]
    for _ in calls:
        await place.service.held.get()
    await channel.close()
    assert {await _outcome(call) for call in calls} == {grpc.StatusCode.CANCELLED}
    with pytest.raises(grpc.aio.UsageError):
        channel.unary_unary("/t.T/Echo")(b"")


async def test_closing_ends_calls_that_were_sent_the_ordinary_way(place: Place) -> None:
    """Such a call has no lane to end it."""
    channel = Channel("t", [place.endpoint])
    call = channel.unary_unary(LIST_GROUPS)(b"", timeout=1e6)
    await place.service.held.get()
    cut(channel, place)
    await place.service.held.get()
    await channel.close()
    assert await _outcome(call) is grpc.StatusCode.CANCELLED


async def test_a_call_given_up_on_its_second_way_ends_there_too(place: Place) -> None:
    """The server is told."""
    async with channel_to(place) as channel:
        call = channel.unary_unary(LIST_GROUPS)(b"", timeout=1e6)
        await place.service.held.get()
        cut(channel, place)
        told = await place.service.held.get()
        assert call.cancel()
        assert await _outcome(call) is grpc.StatusCode.CANCELLED
        await asyncio.wait([told])
        assert told.cancelled()
