"""The server on a real socket: order, time, pressure and endings."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import pytest

from gateway.errors import EdgeText
from gateway.http import Handler, Limits, Listener, Request, Response
from mesh.errors import MeshError

GET = b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n"
PATIENCE_S = 10


class Client:
    """A connection that reads whole responses."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def head(self) -> tuple[int, dict[str, str]]:
        async with asyncio.timeout(PATIENCE_S):
            lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        return int(lines[0].split()[1]), headers

    async def response(self) -> tuple[int, dict[str, str], bytes]:
        status, headers = await self.head()
        async with asyncio.timeout(PATIENCE_S):
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return status, headers, body

    async def ended(self) -> bytes:
        """What comes until the server closes."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.read()


def refuse(error: MeshError) -> Response:
    text = error.reason.text
    status = text.http_status if isinstance(text, EdgeText) else 500
    return Response(status=status, body=error.reason.name.encode(), content_type=b"text/plain")


async def echo(request: Request) -> Response:
    return Response(body=f"{request.method} {request.path} ".encode() + request.body)


Connect = Callable[[], Awaitable[Client]]


@asynccontextmanager
async def serving(
    handler: Handler = echo, drain_s: float = 1.0, **limits: Any
) -> AsyncIterator[tuple[Listener, Connect]]:
    """A listener and a way to connect to it."""
    listener = Listener(
        handler, refuse, host="127.0.0.1", port=0, limits=Limits(**limits), drain_s=drain_s
    )
    async with listener, AsyncExitStack() as clients:
        host, _, port = listener.address.rpartition(":")

        async def connect() -> Client:
            client = Client(*await asyncio.open_connection(host, int(port)))
            clients.callback(client.writer.close)
            return client

        yield listener, connect


async def test_keep_alive_serves_one_request_after_another() -> None:
    """A connection is used again, and each answer has length and date."""
    async with serving() as (_, connect):
        client = await connect()
        for path in (b"/1", b"/2", b"/3"):
            client.send(GET % path)
            status, headers, body = await client.response()
            assert (status, body) == (200, b"GET " + path + b" ")
            assert "date" in headers
            assert "connection" not in headers


async def test_pipelined_requests_are_answered_in_order_and_never_at_once() -> None:
    """The second request waits for the answer to the first."""
    running, most = 0, 0

    async def handler(request: Request) -> Response:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(3):
            await asyncio.sleep(0)
        running -= 1
        return await echo(request)

    async with serving(handler) as (_, connect):
        client = await connect()
        count = 200  # many times what is read ahead
        client.send(b"".join(GET % b"/%d" % n for n in range(count)))
        bodies = [(await client.response())[2] for _ in range(count)]
    assert bodies == [b"GET /%d " % n for n in range(count)]
    assert most == 1


async def test_reading_stops_when_enough_requests_wait() -> None:
    """A client that only sends is held back by its own socket."""
    gate = asyncio.Event()

    async def handler(request: Request) -> Response:
        await gate.wait()
        return await echo(request)

    async with serving(handler) as (_, connect):
        client = await connect()
        flood = (GET % b"/x") * 400_000
        client.send(flood)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await client.writer.drain()
        assert client.writer.transport.get_write_buffer_size() > 0
        client.writer.transport.abort()
        gate.set()


async def test_long_pipeline_does_not_hold_up_other_connections() -> None:
    """Even when its handlers never wait for anything."""
    served = 0

    async def handler(request: Request) -> Response:
        nonlocal served
        served += request.path == "/flood"
        return await echo(request)

    async with serving(handler) as (_, connect):
        flooding, other = await connect(), await connect()
        flooding.send((GET % b"/flood") * 5000)
        other.send(GET % b"/other")
        assert (await other.response())[0] == 200
        assert served < 1000
        flooding.writer.transport.abort()


async def test_connection_close_ends_the_connection_after_its_answer() -> None:
    """What follows a request with "close" is not read."""
    async with serving() as (_, connect):
        client = await connect()
        client.send(b"GET /1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" + GET % b"/2")
        status, headers, body = await client.response()
        assert (status, headers["connection"], body) == (200, "close", b"GET /1 ")
        assert await client.ended() == b""


async def test_http_1_0_is_answered_and_closed() -> None:
    """Old clients need neither Host nor keep-alive."""
    async with serving() as (_, connect):
        client = await connect()
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        status, headers, _ = await client.response()
        assert (status, headers["connection"]) == (200, "close")
        assert await client.ended() == b""


async def test_head_tells_the_length_and_sends_no_body() -> None:
    """The next answer follows at once."""
    async with serving() as (_, connect):
        client = await connect()
        client.send(b"HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n" + GET % b"/b")
        status, headers = await client.head()
        assert (status, headers["content-length"]) == (200, "8")
        assert (await client.response())[2] == b"GET /b "


async def test_continue_is_sent_when_the_client_waits_for_it() -> None:
    """The body follows once the head was good."""
    async with serving() as (_, connect):
        client = await connect()
        client.send(
            b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
        )
        assert await client.head() == (100, {})
        client.send(b"abc")
        assert (await client.response())[2] == b"POST / abc"


async def test_continue_waits_for_the_answers_before_it() -> None:
    """An interim answer is never sent in the middle of others."""
    async with serving() as (_, connect):
        client = await connect()
        client.send(
            GET % b"/first"
            + b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"
        )
        assert (await client.response())[2] == b"GET /first "
        assert await client.head() == (100, {})


async def test_large_announced_body_is_refused_without_continue() -> None:
    """The client is told before it sends what would be thrown away."""
    async with serving(max_body=10) as (_, connect):
        client = await connect()
        client.send(
            b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n"
        )
        assert (await client.response())[0] == 413


async def test_refusal_reaches_a_client_that_is_still_sending() -> None:
    """The connection is not reset under an answer that was not read yet."""
    async with serving(max_body=1000) as (_, connect):
        client = await connect()
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9000000\r\n\r\n")
        client.send(b"x" * 9_000_000)
        status, headers, body = await client.response()
        assert (status, headers["connection"], body) == (413, "close", b"BODY_TOO_LARGE")


async def test_refusal_comes_after_the_answers_before_it() -> None:
    """Requests that were whole are answered first."""
    async with serving() as (_, connect):
        client = await connect()
        client.send(GET % b"/1" + GET % b"/2" + b"nonsense\r\n\r\n")
        assert [(await client.response())[0] for _ in range(3)] == [200, 200, 400]
        assert await client.ended() == b""


async def test_slow_head_is_refused() -> None:
    """A request that trickles in is answered 408 and its connection closed."""
    async with serving(header_timeout_s=0.05) as (_, connect):
        client = await connect()
        client.send(b"GET / HTTP/1.1\r\nHo")
        status, headers, body = await client.response()
        assert (status, headers["connection"], body) == (408, "close", b"REQUEST_TIMEOUT")
        assert await client.ended() == b""


async def test_slow_body_is_refused() -> None:
    """The whole request has to arrive, not its head alone."""
    async with serving(header_timeout_s=0.05) as (_, connect):
        client = await connect()
        client.send(GET % b"/fast" + b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc")
        assert [(await client.response())[0] for _ in range(2)] == [200, 408]


async def test_silent_connection_is_closed() -> None:
    """One that never asks gets no answer."""
    async with serving(header_timeout_s=0.05) as (_, connect):
        assert await (await connect()).ended() == b""


async def test_idle_connection_is_closed_after_its_last_answer() -> None:
    """Idle time is counted from the answer on."""
    async with serving(idle_timeout_s=0.05) as (_, connect):
        client = await connect()
        client.send(GET % b"/")
        assert (await client.response())[0] == 200
        assert await client.ended() == b""


async def test_slow_handler_is_no_slow_client() -> None:
    """While an answer is made, no time-out of the client runs."""
    gate = asyncio.Event()

    async def handler(request: Request) -> Response:
        await gate.wait()
        return await echo(request)

    async with serving(handler, header_timeout_s=0.02, idle_timeout_s=0.02) as (_, connect):
        client = await connect()
        client.send(GET % b"/")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await client.reader.read(1)
        gate.set()
        assert (await client.response())[0] == 200


async def test_client_that_does_not_read_is_closed() -> None:
    """An answer that nobody takes does not stay in memory for ever."""

    async def handler(request: Request) -> Response:
        return Response(body=bytes(32 << 20))

    async with serving(handler, idle_timeout_s=0.05) as (listener, connect):
        client = await connect()
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.send(GET % b"/" + GET % b"/")
        async with asyncio.timeout(PATIENCE_S):
            while listener.connections:  # noqa: ASYNC110 - there is nothing to wait on
                await asyncio.sleep(0.01)


async def test_next_request_waits_until_the_answer_is_taken() -> None:
    """Answers do not pile up for a client that reads slowly."""
    begun = 0

    async def handler(request: Request) -> Response:
        nonlocal begun
        begun += 1
        return Response(body=bytes(32 << 20))

    async with serving(handler) as (_, connect):
        client = await connect()
        client.send((GET % b"/") * 5)
        await client.reader.read(1)
        assert begun == 1
        client.writer.transport.abort()


async def test_client_that_leaves_cancels_its_request() -> None:
    """Nobody works for one who has gone."""
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def handler(request: Request) -> Response:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        raise AssertionError

    async with serving(handler) as (_, connect):
        client = await connect()
        client.send(GET % b"/")
        async with asyncio.timeout(PATIENCE_S):
            await begun.wait()
            client.writer.close()
            await cancelled.wait()


async def test_connections_above_the_bound_are_refused() -> None:
    """They get 503, and room is made when another ends."""
    async with serving(max_connections=1) as (listener, connect):
        first = await connect()
        first.send(GET % b"/")
        assert (await first.response())[0] == 200
        second = await connect()
        assert (await second.response())[0] == 503
        second.writer.close()
        first.writer.close()
        async with asyncio.timeout(PATIENCE_S):
            while listener.connections:  # noqa: ASYNC110 - there is nothing to wait on
                await asyncio.sleep(0.01)
        third = await connect()
        third.send(GET % b"/")
        assert (await third.response())[0] == 200


async def test_handler_that_raises_answers_500_without_its_text() -> None:
    """The server survives, and tells nothing of what went wrong."""

    async def handler(request: Request) -> Response:
        raise RuntimeError("secret of the house")

    async with serving(handler) as (_, connect):
        client = await connect()
        client.send(GET % b"/" + GET % b"/")
        for _ in range(2):
            status, _, body = await client.response()
            assert (status, body) == (500, b"INTERNAL")


@pytest.mark.parametrize(
    "response",
    [
        Response(headers=((b"location", b"/\r\nset-cookie: a=b"),)),
        Response(headers=((b"x\r\ny", b"z"),)),
        Response(content_type=b"text/html\n"),
    ],
)
async def test_line_breaks_never_reach_a_response_head(response: Response) -> None:
    """A header that would break the line is an error of ours."""

    async def handler(request: Request) -> Response:
        return response

    async with serving(handler) as (_, connect):
        client = await connect()
        client.send(GET % b"/")
        assert (await client.response())[0] == 500


async def test_204_has_no_body_and_no_length() -> None:
    """What follows it is the next answer."""

    async def handler(request: Request) -> Response:
        return Response(status=204, body=b"ignored")

    async with serving(handler) as (_, connect):
        client = await connect()
        client.send((GET % b"/") * 2)
        for _ in range(2):
            status, headers = await client.head()
            assert status == 204
            assert "content-length" not in headers


@pytest.mark.parametrize("status", [204, 304])
async def test_answers_without_a_body_leave_out_what_is_given(status: int) -> None:
    """A body behind them would be taken for the beginning of the next answer."""

    async def handler(_: Request) -> Response:
        return Response(status=status, body=b"{}", headers=((b"etag", b'"v1"'),))

    async with serving(handler) as (_, connect):
        client = await connect()
        for _ in range(2):
            client.send(GET % b"/")
            found, headers = await client.head()
            assert (found, headers["etag"]) == (status, '"v1"')
            assert "content-length" not in headers


def in_pieces(*pieces: bytes, length: int) -> Response:
    """An answer of a first piece and those that follow."""

    async def rest() -> AsyncGenerator[bytes, None]:
        for piece in pieces[1:]:
            await asyncio.sleep(0)
            yield piece

    return Response(body=pieces[0], rest=rest(), length=length)


async def test_body_in_pieces_is_one_body() -> None:
    """Its length is told first, and the next answer comes behind it."""

    async def handler(_: Request) -> Response:
        return in_pieces(b"one", b"two", b"three", length=11)

    async with serving(handler) as (_, connect):
        client = await connect()
        client.send(2 * (GET % b"/"))
        for _ in range(2):
            status, headers, body = await client.response()
            assert (status, headers["content-length"], body) == (200, "11", b"onetwothree")


async def test_head_tells_the_length_of_what_comes_in_pieces() -> None:
    """No piece is fetched or sent."""

    async def handler(_: Request) -> Response:
        return in_pieces(b"one", b"two", length=6)

    async with serving(handler) as (_, connect):
        client = await connect()
        client.send(b"HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert (await client.head())[1]["content-length"] == "6"
        assert await client.ended() == b""


@pytest.mark.parametrize("length", [5, 7])
async def test_body_of_another_length_than_announced_cuts_the_connection(length: int) -> None:
    """Neither does the client wait for more, nor is what is too much sent."""

    async def handler(_: Request) -> Response:
        return in_pieces(b"one", b"two", length=length)

    async with serving(handler) as (_, connect):
        client = await connect()
        client.send(GET % b"/")
        await client.head()
        with suppress(ConnectionResetError):
            assert len(await client.ended()) <= 6


async def test_body_that_fails_on_the_way_cuts_the_connection() -> None:
    """The client sees that it does not have the whole."""

    async def rest() -> AsyncGenerator[bytes, None]:
        yield b"two"
        raise OSError

    async def handler(_: Request) -> Response:
        return Response(body=b"one", rest=rest(), length=100)

    async with serving(handler) as (_, connect):
        client = await connect()
        client.send(GET % b"/")
        await client.head()
        with suppress(ConnectionResetError):
            assert b"onetwo".startswith(await client.ended())


async def test_pieces_are_fetched_as_they_are_read_and_end_with_the_client() -> None:
    """An endless body waits for its reader, and is closed when he leaves."""
    fetched, closed = 0, asyncio.Event()

    async def rest() -> AsyncGenerator[bytes, None]:
        nonlocal fetched
        try:
            while True:
                fetched += 1
                yield bytes(1 << 20)
        finally:
            closed.set()

    async def handler(_: Request) -> Response:
        return Response(rest=rest(), length=1 << 40)

    async with serving(handler) as (_, connect):
        client = await connect()
        client.send(GET % b"/")
        await client.head()
        client.writer.close()
        async with asyncio.timeout(PATIENCE_S):
            await closed.wait()
    assert 0 < fetched < 100  # what sockets hold


async def test_draining_finishes_requests_under_way_and_closes() -> None:
    """The last answer says that the connection ends; idle connections end at once."""
    begun, gate = asyncio.Event(), asyncio.Event()

    async def handler(request: Request) -> Response:
        begun.set()
        await gate.wait()
        return await echo(request)

    async with serving(handler, drain_s=PATIENCE_S) as (listener, connect):
        busy, idle = await connect(), await connect()
        busy.send(GET % b"/1" + GET % b"/2")
        await begun.wait()
        leaving = asyncio.create_task(listener.__aexit__(None, None, None))
        assert await idle.ended() == b""
        with pytest.raises(OSError, match="onnect"):
            await connect()
        gate.set()
        first, second = await busy.response(), await busy.response()
        assert "connection" not in first[1]
        assert second[1]["connection"] == "close"
        assert await busy.ended() == b""
        busy.writer.close()
        await leaving


async def test_draining_has_an_end() -> None:
    """What is not done in time is cancelled."""
    cancelled = asyncio.Event()

    async def handler(request: Request) -> Response:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    async with serving(handler, drain_s=0.05) as (_, connect):
        client = await connect()
        client.send(GET % b"/")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.reader.read(1)
    assert cancelled.is_set()


async def test_taken_port_is_an_error() -> None:
    """Entering raises, and nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listener = Listener(echo, refuse, host="127.0.0.1", port=taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            async with listener:
                pass


async def test_two_may_share_a_port_when_both_say_so() -> None:
    """One that stops leaves the other serving there."""
    first = Listener(echo, refuse, host="127.0.0.1", port=0, share_port=True)
    await first.__aenter__()
    host, _, port = first.address.rpartition(":")
    second = Listener(echo, refuse, host=host, port=int(port), share_port=True)
    async with second:
        await first.__aexit__(None, None, None)
        client = Client(*await asyncio.open_connection(host, int(port)))
        client.send(GET % b"/")
        assert b"200" in await client.reader.readline()
        client.writer.close()
