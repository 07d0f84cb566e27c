"""Servers that are frozen while calls are under way beside their lanes: streams, large requests.

A call that ends as UNAVAILABLE was told: at its deadline, which no test waits for, it would
have ended as DEADLINE_EXCEEDED.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any, Final

import grpc
import pytest

from loadtests.lanes.asked import AGAIN, BLOCKS, ECHOES, LAST, ONCE, PIECES
from mesh.lane import UNIX
from mesh.lane.frames import MAX_REQUEST
from tests.fault.lane_ends import LONG_S, Client, Server, ask, open_client, until

BALLAST: Final = bytes(MAX_REQUEST)
"""Behind a request: too much for a lane."""
TOLD: Final = "The connection was lost: the server is silent"


@contextmanager
def frozen(*servers: Server) -> Iterator[None]:
    for server in servers:
        server.process.pause()
    try:
        yield
    finally:
        for server in servers:
            server.process.resume()


async def told(call: Any) -> tuple[grpc.StatusCode, str]:
    """How a call says that it ended."""
    return await call.code(), await call.details()


async def ends(reply: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await reply
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert caught.value.details() == TOLD


async def test_a_large_request_to_a_frozen_server_ends(
    server: Server, carrier: str, stack: AsyncExitStack
) -> None:
    """It may have run, so it is not sent again."""
    client = await open_client(stack, carrier, server)
    asked = ask(hold_s=LONG_S)
    call = client.channel.unary_unary(ONCE)(asked.to_bytes() + BALLAST, timeout=LONG_S)
    await server.has_run(asked.number)
    with frozen(server):
        await ends(call)
        assert await told(call) == (grpc.StatusCode.UNAVAILABLE, TOLD)
    await client.is_answered()
    assert server.times_run(asked.number) == 1


async def test_streams_of_a_frozen_server_end(
    server: Server, carrier: str, stack: AsyncExitStack
) -> None:
    """Of all kinds, read and written, though no call is under way on the lane."""
    client = await open_client(stack, carrier, server)
    channel = client.channel
    asked = ask(hold_s=LONG_S)
    pieces = channel.unary_stream(PIECES)(asked.to_bytes(), timeout=LONG_S)
    echoes = await echoed(client)
    flooded = channel.stream_stream(ECHOES)(timeout=LONG_S)
    fed = channel.stream_unary(LAST)(endless(), timeout=LONG_S)
    assert await anext(aiter(pieces))
    with frozen(server):
        await asyncio.gather(
            ends(echoes.read()), ends(exhausted(pieces)), ends(fed), ends(flood(flooded))
        )
        for call in (pieces, echoes, flooded, fed):
            assert await told(call) == (grpc.StatusCode.UNAVAILABLE, TOLD)
            assert (call.done(), call.cancelled()) == (True, False)
    await client.is_answered()


async def exhausted(replies: Any) -> None:
    async for _ in replies:
        pass


async def flood(call: Any) -> None:
    """Write until nothing more is taken, and longer."""
    while True:
        await call.write(BALLAST)


async def endless() -> AsyncIterator[bytes]:
    """One request, and then none for ever."""
    yield ask().to_bytes()
    await asyncio.Event().wait()


async def test_a_call_that_a_lane_gave_back_ends(
    server: Server, carrier: str, stack: AsyncExitStack
) -> None:
    """Its method is not served over lanes; it was carried the ordinary way."""
    client = await open_client(stack, carrier, server)
    asked = ask(hold_s=LONG_S)
    call = client.channel.unary_unary(BLOCKS)(asked.to_bytes(), timeout=LONG_S)
    await server.has_run(asked.number)
    with frozen(server):
        await ends(call)
    await client.is_answered()


async def test_a_large_request_that_may_run_twice_goes_to_another_server(
    first: Server, second: Server, stack: AsyncExitStack
) -> None:
    """The caller notices nothing of it."""
    client = await open_client(stack, UNIX, first, second)
    asked = ask(hold_s=2.0)
    call = client.channel.unary_unary(AGAIN)(asked.to_bytes() + BALLAST, timeout=LONG_S)
    await until(lambda: any(server.times_run(asked.number) for server in (first, second)))
    holds, other = (first, second) if first.times_run(asked.number) else (second, first)
    await until(lambda: client.has_lane(holds))
    with frozen(holds):
        assert asked.is_answered_by(await call)
        assert other.times_run(asked.number) == 1


async def test_the_next_call_has_a_connection_of_its_own(
    server: Server, carrier: str, stack: AsyncExitStack
) -> None:
    """Streams go on as soon as the server does."""
    client = await open_client(stack, carrier, server)
    stream = await echoed(client)
    with frozen(server):
        await ends(stream.read())
    await client.is_answered()
    await echoed(client)


async def echoed(client: Client) -> Any:
    """A stream that has echoed once."""
    stream = client.channel.stream_stream(ECHOES)(timeout=LONG_S)
    await stream.write(b"echo")
    assert await stream.read() == b"echo"
    return stream
