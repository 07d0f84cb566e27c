"""How a lane is opened: over which carrier, and what happens when one does not reach."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

import mesh.lane
from mesh.lane import dial as dialling
from mesh.lane import hello as opening
from mesh.lane.client import ClientLane
from mesh.lane.dial import CARRIERS, STREAM, TLS, UNIX, Endpoint, Tls, Way, can_dial, dial
from mesh.lane.frames import LaneError, NotServedError, RefusedError
from mesh.lane.keeper import State
from tests.unit.mesh.lane.certificates import Authority
from tests.unit.mesh.lane.world import FakeKeeper


class Echo(grpc.GenericRpcHandler):
    """Answers with the request, and only what ends with Echo."""

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        if details.method != "/t.T/Echo":
            return None
        return grpc.unary_unary_rpc_method_handler(self.echo)

    async def echo(self, request: bytes, _context: Any) -> bytes:
        return request


class Place:
    """One service that can be reached in every way; where each is."""

    def __init__(self, port: int, unix: str, tls: str, authority: Authority) -> None:
        self.address = f"127.0.0.1:{port}"
        self.unix, self.tls = unix, tls
        self.client_tls = authority.client()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Certificates of one authority."""
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def place(var: Path, authority: Authority) -> AsyncIterator[Place]:
    """A server with all kinds of carriers."""
    server = mesh.lane.server(handlers=[Echo()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.add_lane_port(f"unix:{var}/s.lane")
    server.add_lane_port("127.0.0.1:0", authority.server())
    await server.start()
    yield Place(port, f"unix:{var}/s.lane", f"tls:127.0.0.1:{server.lane_ports[0]}", authority)
    await server.stop(None)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever says no hello is given up soon."""
    monkeypatch.setattr(dialling, "HELLO_S", 0.2)


@asynccontextmanager
async def dialled(
    endpoint: Endpoint, *carriers: str, tls: Tls | None = None
) -> AsyncIterator[ClientLane]:
    """A lane that is open."""
    lane = ClientLane(FakeKeeper())
    async with grpc.aio.insecure_channel(endpoint.address) as channel:
        try:
            way = Way(carriers=carriers or CARRIERS, tls=tls)
            await dial(lane, endpoint, way, lambda: channel)
            yield lane
        finally:
            lane.abandon("the test is over")


async def carried_by(endpoint: Endpoint, *carriers: str, tls: Any = None) -> str:
    """The kind of carrier that reached an endpoint."""
    async with dialled(endpoint, *carriers, tls=tls) as lane:
        carrier: Any = lane._carrier
        if not hasattr(carrier, "_transport"):
            return STREAM
        return TLS if carrier._transport.get_extra_info("ssl_object") else UNIX


async def refusal(endpoint: Endpoint, *carriers: str, tls: Any = None) -> LaneError:
    """Why an endpoint could not be reached."""
    with pytest.raises(LaneError) as failed:
        async with dialled(endpoint, *carriers, tls=tls):
            pass
    return failed.value


async def test_the_first_carrier_that_is_listed_is_taken(place: Place) -> None:
    """The endpoint says which it likes best."""
    first = Endpoint(place.address, (place.unix, place.tls))
    second = Endpoint(place.address, (place.tls, place.unix))
    assert await carried_by(first, tls=place.client_tls) == UNIX
    assert await carried_by(second, tls=place.client_tls) == TLS
    assert await carried_by(Endpoint(place.address)) == STREAM


async def test_what_the_caller_does_not_allow_is_passed_over(place: Place) -> None:
    """TLS needs a context, too."""
    all_ways = Endpoint(place.address, (place.unix, place.tls))
    assert await carried_by(all_ways, TLS, STREAM, tls=place.client_tls) == TLS
    assert await carried_by(all_ways, STREAM) == STREAM
    assert await carried_by(all_ways, TLS, STREAM) == STREAM


def test_without_a_carrier_there_is_nothing_to_dial() -> None:
    """Then calls go the ordinary way from the first."""
    endpoint = Endpoint("127.0.0.1:1", ("unix:/x",))
    assert can_dial(endpoint, Way())
    assert can_dial(endpoint, Way(carriers=(UNIX,)))
    assert not can_dial(endpoint, Way(carriers=()))
    assert not can_dial(endpoint, Way(carriers=(TLS,)))
    assert not can_dial(Endpoint("127.0.0.1:1"), Way(carriers=(UNIX,)))


@pytest.mark.parametrize(
    "broken", ["unix:/nowhere/s.lane", "tls:127.0.0.1:1", "tls:127.0.0.1:port", "tls:host", "unix:"]
)
async def test_a_carrier_that_does_not_reach_gives_way_to_the_next(
    place: Place, broken: str
) -> None:
    """Also an address that makes no sense."""
    endpoint = Endpoint(place.address, (broken,))
    assert await carried_by(endpoint, tls=place.client_tls) == STREAM


async def test_unix_path_of_more_than_107_bytes_gives_way_to_the_next(place: Place) -> None:
    """No socket can have it."""
    assert await carried_by(Endpoint(place.address, (f"unix:/tmp/{'x' * 120}",))) == STREAM


async def test_when_nothing_reaches_all_reasons_are_told(var: Path) -> None:
    """Each with its address."""
    endpoint = Endpoint("unix:/nowhere/plain.sock", (f"unix:{var}/a.lane", f"unix:{var}/b.lane"))
    text = str(await refusal(endpoint))
    assert f"unix:{var}/a.lane: " in text
    assert f"unix:{var}/b.lane: " in text
    assert "unix:/nowhere/plain.sock: the stream ended with UNAVAILABLE" in text


async def test_a_server_without_lanes_is_not_served() -> None:
    """UNIMPLEMENTED means plain gRPC."""
    server = grpc.aio.server(handlers=[Echo()])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    failed = await refusal(Endpoint(f"127.0.0.1:{port}"))
    assert isinstance(failed, NotServedError)
    await server.stop(None)


@asynccontextmanager
async def listening(path: str, say: Callable[[asyncio.StreamWriter], None]) -> AsyncIterator[None]:
    """A process that listens at a Unix path and says something of its own."""
    async with AsyncExitStack() as stack:

        async def taken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            stack.callback(writer.close)
            say(writer)
            await reader.read()

        async with await asyncio.start_unix_server(taken, path.removeprefix("unix:")):
            yield


async def test_who_says_nothing_is_given_up_for_the_next(
    place: Place, var: Path, soon: None
) -> None:
    """The end of the first connection does not end the second."""
    async with (
        listening(f"{var}/mute", lambda _: None),
        dialled(Endpoint(place.address, (f"unix:{var}/mute",))) as lane,
    ):
        for _ in range(20):
            await asyncio.sleep(0)
        assert lane.state is State.OPEN


async def test_who_speaks_another_version_is_given_up_for_the_next(place: Place, var: Path) -> None:
    """The connection that failed says so late; the lane is another's by then."""
    hello = opening.write(opening.ServerHello(opening.MAGIC, version=9, oldest=9))
    frame = len(hello).to_bytes(4, "little") + hello
    async with listening(f"{var}/new", lambda writer: writer.write(frame)):
        assert await carried_by(Endpoint(place.address, (f"unix:{var}/new",))) == STREAM


async def test_who_speaks_something_else_has_no_lanes(place: Place, var: Path) -> None:
    """It was reached, and is no server of lanes."""
    async with listening(f"{var}/ssh", lambda writer: writer.write(b"\x04\0\0\0SSH-2.0\r\n")):
        failed = await refusal(Endpoint(place.address, (f"unix:{var}/ssh",)))
    assert isinstance(failed, NotServedError)


async def test_a_process_of_another_user_is_refused_by_the_client(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, and by name: a Unix socket is trusted only between processes of one user."""
    other = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    failed = await refusal(Endpoint("unix:/nowhere", (place.unix,)), UNIX)
    assert f"is of user {other - 1}, not of {other}" in str(failed)


async def test_a_server_takes_nobody_of_another_user(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hangs up before it says who it is."""
    other = os.geteuid() + 1
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: other)
        reader, writer = await asyncio.open_unix_connection(place.unix.removeprefix("unix:"))
        assert await reader.read() == b""
        writer.close()


async def test_a_server_that_does_not_speak_our_protocol_over_tls_is_refused(
    authority: Authority, place: Place
) -> None:
    """Without ALPN it may be anything."""
    context = authority.server()
    context.set_alpn_protocols(["h2"])

    async def taken(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(taken, "127.0.0.1", 0, ssl=context) as other:
        port = other.sockets[0].getsockname()[1]
        endpoint = Endpoint("unix:/nowhere", (f"tls:127.0.0.1:{port}",))
        failed = await refusal(endpoint, TLS, tls=place.client_tls)
        assert "does not speak engine-lane/1" in str(failed)


async def test_a_server_of_another_authority_is_refused(
    place: Place, tmp_path: Path, authority: Authority
) -> None:
    """So is a client of another one."""
    stranger = Authority(tmp_path)
    endpoint = Endpoint("unix:/nowhere", (place.tls,))
    text = str(await refusal(endpoint, TLS, tls=stranger.client()))
    assert "CERTIFICATE_VERIFY_FAILED" in text
    mixed = authority.client(shows=stranger)
    await refusal(endpoint, TLS, tls=mixed)


async def test_a_client_that_is_refused_is_told_why_and_tries_no_further(place: Place) -> None:
    """The server would refuse it on any carrier."""
    lane = ClientLane(FakeKeeper(), prove=lambda _: ("gateway", b"forged"))
    endpoint = Endpoint("unix:/nowhere", (place.unix, place.unix))
    with pytest.raises(RefusedError, match="does not prove that it is 'gateway'"):
        await dial(lane, endpoint, Way(), lambda: pytest.fail("it goes on"))


async def test_a_dial_that_is_cancelled_leaves_no_connection(var: Path) -> None:
    """The other end sees that it was closed."""
    ended = asyncio.Event()
    taken = asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.set()
        await reader.read()
        writer.close()
        ended.set()

    async with await asyncio.start_unix_server(take, f"{var}/mute"):
        lane = ClientLane(FakeKeeper())
        endpoint = Endpoint("unix:/nowhere", (f"unix:{var}/mute",))
        dialler = asyncio.ensure_future(dial(lane, endpoint, Way(), lambda: pytest.fail("no")))
        await taken.wait()
        dialler.cancel()
        await asyncio.wait([dialler])
        await ended.wait()
    assert lane.state is State.OPENING
