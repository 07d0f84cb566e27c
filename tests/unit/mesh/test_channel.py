"""The mesh's channel towards its caller."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from engine.mesh.v1 import bus_pb2
from mesh import context as wire
from mesh.channel import Channel, bearer
from mesh.context import RequestContext
from mesh.deadline import Deadline
from mesh.errors import STATUS_DETAILS_KEY, ErrorView, MeshError, MeshReason
from mesh.lane.stream import METHOD
from mesh.telemetry import NullSpan, TraceContext

BUS = bus_pb2.DESCRIPTOR.services_by_name["BusService"].full_name


class Echo(grpc.GenericRpcHandler):
    """Answers with the name it was given, and remembers what calls carried."""

    def __init__(self, name: str) -> None:
        self.name = name.encode()
        self.metadata: dict[str, Any] = {}
        self.time_left: float | None = None
        self.held = asyncio.Event()
        self.release = asyncio.Event()

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        if details.method == METHOD:
            return None
        if details.method == "/t.T/Each":
            return grpc.unary_stream_rpc_method_handler(self.each)
        if details.method == "/t.T/Held":
            return grpc.unary_unary_rpc_method_handler(self.hold)
        return grpc.unary_unary_rpc_method_handler(self.answer)

    async def hold(self, _request: bytes, _context: Any) -> bytes:
        self.held.set()
        await self.release.wait()
        return self.name

    async def answer(self, _request: bytes, context: Any) -> bytes:
        self.metadata = dict(context.invocation_metadata())
        self.time_left = context.time_remaining()
        return self.name

    async def each(self, request: bytes, _context: Any) -> AsyncIterator[bytes]:
        for byte in request:
            yield bytes([byte])


@pytest.fixture
async def echoes() -> AsyncIterator[list[tuple[str, Echo]]]:
    """Two servers, with their addresses."""
    started, servers = [], []
    for name in ("a", "b"):
        echo = Echo(name)
        server = grpc.aio.server(handlers=[echo])
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        servers.append(server)
        started.append((f"127.0.0.1:{port}", echo))
    yield started
    for server in servers:
        await server.stop(None)


async def test_calls_take_turns_over_the_endpoints(echoes: list[tuple[str, Echo]]) -> None:
    """Every call chooses anew."""
    addresses = [address for address, _ in echoes]
    async with Channel("t", lambda: addresses) as channel:
        call = channel.unary_unary("/t.T/Do")
        assert [await call(b"") for _ in range(4)] == [b"a", b"b", b"a", b"b"]


async def test_an_endpoint_that_left_is_not_called_any_more(
    echoes: list[tuple[str, Echo]],
) -> None:
    """A bound method follows the table."""
    addresses = [address for address, _ in echoes]
    async with Channel("t", lambda: addresses) as channel:
        call = channel.unary_unary("/t.T/Do")
        await call(b"")
        addresses.pop(0)
        assert {await call(b"") for _ in range(3)} == {b"b"}


async def test_a_call_in_flight_ends_though_its_endpoint_left(
    echoes: list[tuple[str, Echo]],
) -> None:
    """The channel to the old endpoint is closed only after the call."""
    addresses = [echoes[0][0]]
    async with Channel("t", lambda: addresses) as channel:
        call = channel.unary_unary("/t.T/Held")
        held = asyncio.ensure_future(call(b""))
        await echoes[0][1].held.wait()
        addresses[:] = [echoes[1][0]]
        assert await channel.unary_unary("/t.T/Do")(b"") == b"b"
        echoes[0][1].release.set()
        assert await held == b"a"


async def test_a_call_that_could_not_be_sent_goes_to_another_process(
    echoes: list[tuple[str, Echo]],
) -> None:
    """A process that died is in the table for a moment longer; its callers do not notice."""
    addresses = ["unix:/tmp/engine-nobody-listens.sock", echoes[1][0]]
    async with Channel("t", lambda: addresses) as channel:
        call = channel.unary_unary("/t.T/Do")
        assert [await call(b"") for _ in range(4)] == [b"b"] * 4


async def test_a_process_that_cannot_be_reached_is_passed_over(
    echoes: list[tuple[str, Echo]],
) -> None:
    """Streams, too, go where something answers once it is known."""
    addresses = ["unix:/tmp/engine-nobody-listens.sock", echoes[1][0]]
    async with Channel("t", lambda: addresses) as channel:
        await channel.unary_unary("/t.T/Do")(b"")
        for _ in range(4):
            stream = channel.unary_stream("/t.T/Each")(b"ab")
            assert [item async for item in stream] == [b"a", b"b"]


async def test_when_no_process_can_be_reached_the_call_fails_after_three_tries(
    echoes: list[tuple[str, Echo]],
) -> None:
    """There is an end to the search."""
    addresses = [f"unix:/tmp/engine-nobody-listens-{n}.sock" for n in range(3)]
    async with Channel("t", lambda: addresses) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await channel.unary_unary("/t.T/Do")(b"")
        assert failed.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("path", "tried"),
    [
        (f"/{BUS}/ListGroups", 3),
        (f"/{BUS}/Append", 1),
        ("/t.T/NotKnown", 1),
    ],
)
async def test_a_call_that_may_have_been_seen_is_sent_again_only_if_that_does_no_harm(
    path: str, tried: int
) -> None:
    """The contract's idempotency level decides; what is not known is not repeated."""
    calls = 0

    def lose(_request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> Awaitable[bytes]:
        nonlocal calls
        calls += 1
        return context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")

    async with (
        both(grpc.unary_unary_rpc_method_handler(lose)) as addresses,
        Channel("t", lambda: addresses) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError):
            await channel.unary_unary(path)(b"")
    assert calls == tried


async def test_what_a_service_answers_is_passed_on() -> None:
    """An error with our status comes from a handler: another process would say the same."""
    calls = 0

    def refuse(
        _request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]
    ) -> Awaitable[bytes]:
        nonlocal calls
        calls += 1
        status = MeshError(MeshReason.UNAVAILABLE).to_status().SerializeToString()
        trailing = ((STATUS_DETAILS_KEY, status),)
        return context.abort(grpc.StatusCode.UNAVAILABLE, "no database", trailing)

    async with (
        both(grpc.unary_unary_rpc_method_handler(refuse)) as addresses,
        Channel("t", lambda: addresses) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError):
            await channel.unary_unary(f"/{BUS}/ListGroups")(b"")
    assert calls == 1


@asynccontextmanager
async def both(handler: Any) -> AsyncIterator[list[str]]:
    """Two servers that answer every call by the handler; their addresses."""

    class Handlers(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> Any:
            return None if details.method == METHOD else handler

    servers = [grpc.aio.server(handlers=[Handlers()]) for _ in range(2)]
    ports = [server.add_insecure_port("127.0.0.1:0") for server in servers]
    for server in servers:
        await server.start()
    yield [f"127.0.0.1:{port}" for port in ports]
    for server in servers:
        await server.stop(None)


async def test_without_endpoint_every_kind_of_call_is_unavailable() -> None:
    """The error names the service and carries our reason."""
    async with Channel("customer", list) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await channel.unary_unary("/t.T/Do")(b"")
        view = ErrorView.from_rpc(failed.value)
        assert view.reason == "UNAVAILABLE"
        assert "'customer'" in view.message
        with pytest.raises(grpc.aio.AioRpcError):
            async for _ in channel.unary_stream("/t.T/Each")(b""):
                pass
        call = channel.unary_unary("/t.T/Do")(b"")
        assert call.done()
        assert not call.cancel()
        assert await call.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_call_carries_the_current_request(echoes: list[tuple[str, Echo]]) -> None:
    """Proofs, user's token, purpose, business date, chain and trace travel by themselves."""
    address, echo = echoes[0]
    context = RequestContext(token="t", purpose="service", business_date="2026-01-02")
    context.chain.task_id = 5
    trace = TraceContext.of(1, 2, sampled=True)
    async with Channel("t", lambda: [address], lambda: ((wire.CALLER, "me"),)) as channel:
        with wire.using(context), NullSpan(trace):
            await channel.unary_unary("/t.T/Do")(b"", metadata=(("x-mine", "1"),))
    expected = {
        "authorization": "Bearer t",
        "x-engine-caller": "me",
        "x-engine-purpose": "service",
        "x-engine-business-date": "2026-01-02",
        "x-engine-chain-bin": context.chain.SerializeToString(),
        "traceparent": trace.header,
        "x-mine": "1",
    }
    assert expected.items() <= echo.metadata.items()


async def test_a_call_may_not_outlive_the_request_it_serves(
    echoes: list[tuple[str, Echo]],
) -> None:
    """The smaller of its own time-out and what is left of the deadline."""
    address, echo = echoes[0]
    async with Channel("t", lambda: [address], bearer("x")) as channel:
        call = channel.unary_unary("/t.T/Do")
        await call(b"")
        assert echo.time_left is not None
        assert 5 < echo.time_left < 11
        with wire.using(RequestContext(deadline=Deadline.after(2))):
            await call(b"", timeout=60)
            assert echo.time_left < 2.2
            await call(b"", timeout=1)
            assert echo.time_left < 1.2


async def test_streams_pass(echoes: list[tuple[str, Echo]]) -> None:
    """Server streams go the same way."""
    address, _ = echoes[0]
    async with Channel("t", lambda: [address]) as channel:
        stream = channel.unary_stream("/t.T/Each")(b"abc")
        assert [item async for item in stream] == [b"a", b"b", b"c"]


async def test_a_channel_becomes_ready_when_an_endpoint_appears(
    echoes: list[tuple[str, Echo]],
) -> None:
    """A service may be waited for before it is there."""
    addresses: list[str] = []
    asked = 0

    def endpoints() -> list[str]:
        nonlocal asked
        asked += 1
        if asked == 3:
            addresses.append(echoes[0][0])
        return addresses

    async with Channel("t", endpoints) as channel:
        await channel.channel_ready()
        assert channel.get_state() is grpc.ChannelConnectivity.READY


async def test_a_closed_channel_holds_no_peer() -> None:
    """With the last who holds it go the descriptors of gRPC."""
    channel = Channel("customer", ["127.0.0.1:1", "127.0.0.1:2"])
    peer = weakref.ref(channel.choose())
    assert peer() is not None
    await channel.close()
    gc.collect()
    assert peer() is None
