"""Lanes to one server under faults: no call runs twice or hangs, and others are served."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Mapping
from contextlib import AsyncExitStack

import grpc

from loadtests.lanes.counts import counts, descriptors
from loadtests.lanes.peer import runs
from mesh.lane import STREAM
from mesh.lane.frames import WINDOW
from mesh.testing import Way
from tests.fault.lane_ends import (
    LONG_S,
    LOOK_S,
    Server,
    ask,
    code_of,
    open_by_link,
    open_client,
    until,
)

MIB = 1 << 20
REFUSED = {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE}
"""How calls end that are too many: by the bound of a lane, then by the method's breaker."""


async def test_a_call_that_was_cut_off_is_not_run_again(
    server: Server, carrier: str, stack: AsyncExitStack
) -> None:
    """It may have had its effect: whoever called is told, and asks what came of it."""
    client = await open_by_link(stack, carrier, server)
    asked = ask(hold_s=LONG_S)
    call = client.once(asked)
    await server.has_run(asked.number)
    client.link.reset()
    assert await code_of(call) is grpc.StatusCode.UNAVAILABLE
    await client.is_answered()
    assert server.times_run(asked.number) == 1


async def test_a_call_that_may_be_repeated_is_answered_though_it_was_cut_off(
    server: Server, carrier: str, stack: AsyncExitStack
) -> None:
    """The second time it is let through."""
    client = await open_by_link(stack, carrier, server)
    asked = ask(hold_s=0.5)
    call = client.again(asked)
    await server.has_run(asked.number)
    client.link.reset()
    assert asked.is_answered_by(await call)
    assert server.times_run(asked.number) == 2


async def test_a_server_that_is_heard_no_more_is_given_up_long_before_the_deadline(
    server: Server, carrier: str, stack: AsyncExitStack
) -> None:
    """Half open: it hears and runs all, and nothing comes back; the call is not run again."""
    client = await open_by_link(stack, carrier, server)
    client.link.half_open(Way.BACK)
    asked = ask()
    assert await code_of(client.once(asked)) is grpc.StatusCode.UNAVAILABLE
    client.link.mend()
    await client.is_answered()
    assert server.times_run(asked.number) == 1


async def test_calls_to_a_frozen_server_end(
    server: Server, carrier: str, stack: AsyncExitStack
) -> None:
    """At their deadline when that is soon, else as soon as the server is missed."""
    client = await open_client(stack, carrier, server)
    server.process.pause()
    try:
        soon, late = client.once(ask(), timeout=0.2), client.once(ask())
        assert await code_of(soon) is grpc.StatusCode.DEADLINE_EXCEEDED
        assert await code_of(late) is grpc.StatusCode.UNAVAILABLE
    finally:
        server.process.resume()
    await client.is_answered()


async def test_a_client_that_does_not_read_costs_a_server_no_more_than_a_bound(
    server: Server, carrier: str, stack: AsyncExitStack
) -> None:
    """Of 256 MB that it asked for few wait in memory, and others are served meanwhile."""
    client = await open_by_link(stack, carrier, server)
    other = await open_client(stack, carrier, server)
    server.forget_peak()
    before = server.peak_bytes
    client.link.half_open(Way.BACK)
    calls = [client.once(ask(size=MIB)) for _ in range(WINDOW)]
    for _ in range(50):
        asked = ask()
        assert asked.is_answered_by(await other.once(asked))
    assert not any(call.done() for call in calls)
    assert {await code_of(call) for call in calls} == {grpc.StatusCode.UNAVAILABLE}
    assert server.peak_bytes - before < 64 * MIB
    client.link.mend()
    await server.has_no("calls")


async def test_a_flood_leaves_room_for_others_and_nothing_behind(
    server: Server, carrier: str, stack: AsyncExitStack
) -> None:
    """What is too much is refused and never runs; another's calls are answered meanwhile."""
    client = await open_client(stack, carrier, server)
    other = await open_client(stack, carrier, server)
    asked = [ask() for _ in range(40_000)]
    calls = [client.once(each) for each in asked]
    for _ in range(50):
        own = ask()
        assert own.is_answered_by(await other.once(own))
    assert not all(call.done() for call in calls)
    codes = [await code_of(call) for call in calls]
    assert {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED} <= set(codes)
    assert set(codes) <= REFUSED | {grpc.StatusCode.OK}
    ok = {a.number for a, c in zip(asked, codes, strict=True) if c is grpc.StatusCode.OK}
    ran = [number for _, number in runs(server.place.folder)]
    assert ok == {each.number for each in asked} & set(ran)
    await server.has_no("calls")


async def test_lanes_that_were_cut_leave_no_descriptors(server: Server, carrier: str) -> None:
    """In this process, once the channel is closed: as many as before."""
    await _cut_often(server, carrier)  # gRPC keeps what it opens first
    before = await steady()
    await _cut_often(server, carrier)
    await until(lambda: is_left(before))


async def steady() -> Mapping[str, int]:
    """What this process holds once that does not change any more: gRPC closes in the background."""
    gc.collect()
    seen: list[int] = []
    async with asyncio.timeout(LONG_S):
        while len(seen) < 10 or len(set(seen[-10:])) > 1:
            seen.append(descriptors())
            await asyncio.sleep(LOOK_S)
    return counts()


def is_left(before: Mapping[str, int]) -> bool:
    """Whether this process holds no more descriptors and lanes than before."""
    now = counts()
    return now["descriptors"] <= before["descriptors"] and now["lanes"] <= before["lanes"]


async def _cut_often(server: Server, carrier: str) -> None:
    async with AsyncExitStack() as stack:
        client = await open_by_link(stack, carrier, server)
        for _ in range(5):
            client.link.reset()
            await until(lambda: not client.has_lane())
            await client.is_answered()


async def test_a_closed_channel_holds_no_descriptors(server: Server) -> None:
    """As long as somebody still has it: what it opened is freed, with what gRPC opened for it."""
    async with AsyncExitStack() as stack:
        await open_client(stack, STREAM, server)  # gRPC keeps what it opens first
    before = await steady()
    async with AsyncExitStack() as stack:
        client = await open_client(stack, STREAM, server)
    await until(lambda: is_left(before))
    assert client.channel
