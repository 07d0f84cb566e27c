"""A link makes a network as bad as it is told, and good again; over TCP and Unix sockets."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mesh.testing import Link, Way
from mesh.testing._wire import CHUNK, Traffic, Weather, Wire

End = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers what it gets; takes its leave when the client has said all."""
    with suppress(ConnectionError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write(b".")
    writer.close()


@pytest.fixture(params=["tcp", "unix"])
async def target(request: pytest.FixtureRequest, var: Path) -> AsyncIterator[str]:
    """Address of a server that sends back what it gets."""
    server: Any
    if request.param == "unix":
        path = var / "echo.sock"
        server = await asyncio.start_unix_server(echo, path)
        address = f"unix:{path}"
    else:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield address


@pytest.fixture
async def link(target: str) -> AsyncIterator[Link]:
    async with Link(target) as link:
        yield link


async def connect(link: Link) -> End:
    return await connect_to(link.address)


async def connect_to(address: str) -> End:
    if address.startswith("unix:"):
        return await asyncio.open_unix_connection(address.removeprefix("unix:"))
    host, port = address.split(":")
    return await asyncio.open_connection(host, int(port))


async def echoed(end: End, data: bytes) -> bytes:
    end[1].write(data)
    return await end[0].readexactly(len(data))


async def taken(link: Link, way: Way, size: int) -> None:
    """Wait until a link has got so many bytes of one side."""
    async with asyncio.timeout(10):
        while link.taken[way] < size:  # noqa: ASYNC110 - a count has no events
            await asyncio.sleep(0)
    assert link.taken[way] == size


async def is_silent(end: End) -> bool:
    """Whether nothing arrives while what could come has its turns."""
    waiting = asyncio.ensure_future(end[0].read(1))
    for _ in range(20):
        await asyncio.sleep(0)
    was_silent = not waiting.done()
    waiting.cancel()
    await asyncio.wait([waiting])
    return was_silent


async def has_ended(end: End) -> bool:
    """Wait for the end: a reset, or (Unix sockets have none) the end of the data."""
    try:
        return await end[0].read() == b""
    except ConnectionError:
        return True


def leave(*ends: End) -> None:
    for _, writer in ends:
        writer.close()


async def test_passes_on_what_both_sides_send(link: Link) -> None:
    """A healthy link changes nothing, however much goes over it."""
    end, much = await connect(link), b"x" * 1_000_000
    assert await echoed(end, much) == much
    assert link.passed == {Way.THERE: len(much), Way.BACK: len(much)}
    leave(end)


async def test_one_side_may_close_before_the_other(link: Link) -> None:
    """The server is told, and what it still says arrives."""
    end = await connect(link)
    assert await echoed(end, b"a") == b"a"
    end[1].write_eof()
    assert await end[0].read() == b"."
    leave(end)


async def test_cut_ends_what_is_open_and_what_comes_until_mended(link: Link) -> None:
    """Who is connected is reset, and whoever connects."""
    before = await connect(link)
    assert await echoed(before, b"a") == b"a"
    link.cut()
    assert await has_ended(before)
    during = await connect(link)
    assert await has_ended(during)
    link.mend()
    after = await connect(link)
    assert await echoed(after, b"b") == b"b"
    leave(before, during, after)


async def test_reset_ends_what_is_open_alone(link: Link) -> None:
    """Who comes then is served."""
    before = await connect(link)
    assert await echoed(before, b"a") == b"a"
    link.reset()
    assert await has_ended(before)
    after = await connect(link)
    assert await echoed(after, b"b") == b"b"
    assert link.accepted == 2
    leave(before, after)


async def test_half_open_connections_stay_silent_until_mended(link: Link) -> None:
    """Nothing comes through, also for who connects meanwhile, and nothing is lost."""
    before = await connect(link)
    assert await echoed(before, b"a") == b"a"
    link.half_open()
    during = await connect(link)
    for size, end in ((5, before), (9, during)):
        end[1].write(b"late")
        await taken(link, Way.THERE, size)
        assert await is_silent(end)
    link.mend()
    assert [await end[0].readexactly(4) for end in (before, during)] == [b"late", b"late"]
    leave(before, during)


async def test_one_direction_alone_may_be_silent(link: Link) -> None:
    """The server hears what the client says, and is not heard."""
    end = await connect(link)
    link.half_open(Way.BACK)
    end[1].write(b"said")
    await taken(link, Way.BACK, 4)
    assert await is_silent(end)
    assert link.passed == {Way.THERE: 4, Way.BACK: 0}
    link.mend()
    assert await end[0].readexactly(4) == b"said"
    leave(end)


async def test_what_is_held_ends_with_a_cut(link: Link) -> None:
    """A half-open link can still break."""
    end = await connect(link)
    link.half_open()
    end[1].write(b"held")
    await taken(link, Way.THERE, 4)
    assert await is_silent(end)
    link.cut()
    assert await has_ended(end)
    leave(end)


async def test_delay_holds_data_up_in_both_directions(link: Link) -> None:
    """A round trip takes two delays, and nothing is lost or changes its place."""
    end, loop = await connect(link), asyncio.get_running_loop()
    assert await echoed(end, b"a") == b"a"
    link.delay(0.2)
    began = loop.time()
    for number in range(10):
        end[1].write(bytes([number]))
        await taken(link, Way.THERE, 2 + number)  # so that each is a piece of its own
    assert await end[0].readexactly(10) == bytes(range(10))
    assert loop.time() - began >= 0.4
    leave(end)


async def test_jitter_does_not_change_the_order(link: Link) -> None:
    """As in a stream of TCP."""
    end = await connect(link)
    link.delay(0.0, jitter_s=0.02)
    for number in range(20):
        end[1].write(bytes([number]))
        await taken(link, Way.THERE, 1 + number)
    assert await end[0].readexactly(20) == bytes(range(20))
    leave(end)


async def test_a_narrow_link_takes_its_time(link: Link) -> None:
    """What is more than it carries in a time does not come within it."""
    end = await connect(link)
    link.delay(0.0, bytes_per_s=10)
    end[1].write(b"narrow")
    await taken(link, Way.THERE, 6)
    assert await is_silent(end)
    leave(end)


async def test_what_comes_for_an_end_that_is_gone_breaks_off(target: str) -> None:
    """A transport of uvloop says so by a RuntimeError, one of asyncio not at all."""
    end = await connect_to(target)
    end[1].transport.abort()
    await end[1].wait_closed()
    pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    pieces.put_nowait((0.0, b"late"))
    wire = Wire(Weather, random.Random(0), Traffic())
    with pytest.raises(ConnectionError):
        await wire._deliver(Way.BACK, pieces, end[1])


async def test_a_server_that_is_not_there_ends_the_connection() -> None:
    """As if it had refused."""
    async with Link("127.0.0.1:1") as link:
        end = await connect(link)
        assert await has_ended(end)
        leave(end)


async def test_leaving_the_link_ends_its_connections_and_takes_its_address_away(
    target: str,
) -> None:
    """Nothing stays behind."""
    async with Link(target) as link:
        end = await connect(link)
        assert await echoed(end, b"a") == b"a"
    assert await has_ended(end)
    leave(end)
    with pytest.raises(OSError, match=r"(?i)refused|no such file"):
        await connect(link)


async def test_an_address_of_a_tls_lane_keeps_its_kind() -> None:
    """So that a client is told what to speak; the bytes are passed on as they are."""
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Link(f"tls:127.0.0.1:{port}") as link:
        assert link.address.startswith("tls:127.0.0.1:")
        host, other = link.address.removeprefix("tls:").split(":")
        end = await asyncio.open_connection(host, int(other))
        assert await echoed(end, b"a") == b"a"
        leave(end)
