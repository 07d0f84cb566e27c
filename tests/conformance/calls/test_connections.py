"""Servers and channels that come and go: what becomes of calls meanwhile."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path as Folder
from typing import Any

import grpc
import pytest
from grpc import ChannelConnectivity

from mesh import lane
from tests.conformance.calls.paths import Client, Path, connected
from tests.conformance.calls.peer import HOST, Places
from tests.conformance.calls.raw import path as raw

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Interceptor(grpc.aio.ServerInterceptor):
    """As teams write them, to let some calls through."""

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        return await continuation(details)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind((HOST, 0))
        port: int = found.getsockname()[1]
    return port


async def code_after(client: Client, *codes: grpc.StatusCode) -> grpc.StatusCode:
    """How calls end, once they end with none of `codes` any more."""
    while (found := await client.act("echo", timeout=5).code()) in codes:
        pass
    return found  # type: ignore[no-any-return]


async def test_calls_under_way_end_while_the_server_stops(path: Path) -> None:
    """They may take the grace; new ones are refused with UNAVAILABLE."""
    async with connected(path) as client:
        request = client.request("hold", b"accepted")
        call = client.stub.Act(request, timeout=20)
        await client.noted(request, "started")
        stopping = asyncio.ensure_future(client.stop(10))
        # What grpcio's server had begun to read just then, it cancels or forgets.
        passing = [grpc.StatusCode.OK, grpc.StatusCode.CANCELLED]
        if not path.is_lane:
            passing.append(grpc.StatusCode.DEADLINE_EXCEEDED)
        code = await code_after(client, *passing)
        assert code is grpc.StatusCode.UNAVAILABLE
        assert not call.done()
        await client.release(request)
        assert (await call).payload == b"accepted"
        await stopping


async def test_server_does_not_wait_longer_than_its_grace(path: Path) -> None:
    """What is under way then is cancelled, and its caller told so."""
    async with connected(path) as client:
        request = client.request("hold")
        call = client.stub.Act(request, timeout=20)
        await client.noted(request, "started")
        await client.stop(0.1)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        await client.noted(request, "cancelled")


async def test_calls_beyond_the_servers_limit_are_refused(path: Path) -> None:
    """RESOURCE_EXHAUSTED; when one has ended the next is served."""
    async with connected(path, maximum_concurrent_rpcs=2) as client:
        requests = [client.request("hold") for _ in range(2)]
        calls = [client.stub.Act(request) for request in requests]
        for request in requests:
            await client.noted(request, "started")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.act("echo")
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert caught.value.details() == "Concurrent RPC limit exceeded!"
        await client.release(requests[0])
        await calls[0]
        code = await code_after(client, grpc.StatusCode.RESOURCE_EXHAUSTED)
        assert code is grpc.StatusCode.OK
        await client.release(requests[1])
        await calls[1]


async def test_request_beyond_what_the_server_takes(path: Path) -> None:
    """RESOURCE_EXHAUSTED; it costs no other call."""
    async with connected(path, max_receive=96 << 10) as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.act("echo", bytes(128 << 10))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert len((await client.act("echo", bytes(90 << 10))).payload) == 90 << 10


async def test_interceptors_of_grpcio_cannot_be_got_around() -> None:
    """Lanes pass them by: a server with both is refused before it serves anyone."""
    with pytest.raises(ValueError, match="interceptors"):
        lane.server(interceptors=[Interceptor()])


async def test_handlers_may_depend_on_metadata(path: Path) -> None:
    """A generic handler is asked for each call, with its metadata; not so on lanes."""
    async with connected(path) as client:
        chosen = client.channel.unary_unary(raw("Chosen"))
        answers = [await chosen(b"", metadata=(("version", v),)) for v in ("one", "two")]
    differs = path.differs("handlers by metadata")
    assert answers == ([b"None"] * 2 if differs else [b"one", b"two"])


async def test_nobody_listens(path: Path, var: Folder) -> None:
    """UNAVAILABLE at once, unless the caller asked to wait: then his deadline counts."""
    address = f"{HOST}:{free_port()}"
    places = Places(address=address, control="", lanes=(f"unix:{var / 'no.lane'}",))
    async with path.open(places, path.certified(var)) as channel:
        client = Client(path, places, channel, channel)
        for _ in range(2):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await client.act("echo", timeout=5)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await client.act("echo", timeout=5).wait_for_connection()
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.act("echo", timeout=0.2, wait_for_ready=True)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_call_that_waits_for_a_server_is_served_when_it_comes(
    path: Path, var: Folder
) -> None:
    """With `wait_for_ready` a call may be made before there is a server."""
    port = free_port()
    places = Places(address=f"{HOST}:{port}", control="", lanes=())
    async with path.open(places, path.certified(var)) as channel:
        early = Client(path, places, channel, channel)
        call = early.act("echo", b"early", timeout=20, wait_for_ready=True)
        waits = asyncio.ensure_future(call.wait_for_connection())
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waits.done()
        async with connected(path, port=port):
            await waits
            assert (await call).payload == b"early"


async def test_closed_channel_takes_no_calls(path: Path) -> None:
    """Calling on it is a mistake of use."""
    async with connected(path) as client:
        await client.channel.close()
        with pytest.raises(grpc.aio.UsageError):
            await client.act("echo")


async def test_closing_a_channel_gives_its_calls_up(path: Path) -> None:
    """Without grace at once: their handlers are cancelled."""
    async with connected(path) as client:
        request = client.request("hold")
        call = client.stub.Act(request)
        await client.noted(request, "started")
        await client.channel.close()
        await client.noted(request, "cancelled")
        assert await call.code() is grpc.StatusCode.CANCELLED
        differs = path.differs("closed under calls")
        with pytest.raises(grpc.aio.AioRpcError if differs else asyncio.CancelledError):
            await call


async def test_closing_with_grace_lets_calls_end(path: Path) -> None:
    """Those under way are answered."""
    async with connected(path) as client:
        request = client.request("hold", b"answered")
        call = client.stub.Act(request)
        await client.noted(request, "started")
        closing = asyncio.ensure_future(client.channel.close(10))
        await asyncio.sleep(0)
        await client.release(request)
        assert (await call).payload == b"answered"
        await closing


async def test_state_of_a_channel(path: Path) -> None:
    """READY once connected; asking and waiting are those of grpcio."""
    async with connected(path) as client:
        await asyncio.wait_for(client.channel.channel_ready(), 10)
        assert client.channel.get_state() is ChannelConnectivity.READY
