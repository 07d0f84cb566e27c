"""Lanes to two servers of a service, of which one is killed, comes back, or ends in good order."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import grpc

from loadtests.lanes.asked import Asked
from loadtests.lanes.peer import runs
from tests.fault.lane_ends import LONG_S, LOOK_S, Server, ask, code_of, open_client, until


async def test_what_a_killed_server_had_is_told_or_asked_of_another(
    first: Server, second: Server, carrier: str, stack: AsyncExitStack
) -> None:
    """Calls that may be repeated go to the other endpoint; none runs twice that must not."""
    client = await open_client(stack, carrier, first, second)
    once = [ask(hold_s=0.5) for _ in range(16)]
    again = [ask(hold_s=0.5) for _ in range(16)]
    once_calls = [client.once(each) for each in once]
    again_calls = [client.again(each) for each in again]
    await until(lambda: all(ran_by(each, first, second) == 1 for each in (*once, *again)))
    first.process.kill()
    for each, call in zip(again, again_calls, strict=True):
        assert each.is_answered_by(await call)
    for each, call in zip(once, once_calls, strict=True):
        lost = first.times_run(each.number)
        wanted = grpc.StatusCode.UNAVAILABLE if lost else grpc.StatusCode.OK
        assert await code_of(call) is wanted
        assert ran_by(each, first, second) == 1


def ran_by(asked: Asked, *servers: Server) -> int:
    return sum(server.times_run(asked.number) for server in servers)


async def test_a_server_that_came_back_is_called_again(
    first: Server, second: Server, carrier: str, stack: AsyncExitStack
) -> None:
    """After it was missed for a time, all calls do not go on to the other for good."""
    client = await open_client(stack, carrier, first, second)
    first.process.kill()
    for _ in range(50):
        await client.again(ask())
    await asyncio.to_thread(first.process.start)
    before = len(runs(first.place.folder))

    async def call_until_it_is() -> None:
        while len(runs(first.place.folder)) == before:
            await client.again(ask())
            await asyncio.sleep(LOOK_S)

    await asyncio.wait_for(call_until_it_is(), LONG_S / 2)


async def test_a_server_that_ends_in_good_order_fails_no_call(
    first: Server, second: Server, carrier: str, stack: AsyncExitStack
) -> None:
    """It brings to an end what it accepted; all else goes to the other one, unseen by callers."""
    client = await open_client(stack, carrier, first, second)
    ended = asyncio.Event()

    async def work() -> None:
        while not ended.is_set():
            asked = ask(hold_s=0.02)
            assert asked.is_answered_by(await client.once(asked))

    async with asyncio.TaskGroup() as group:
        for _ in range(32):
            group.create_task(work())
        await until(lambda: all(runs(each.place.folder) for each in (first, second)))
        await asyncio.to_thread(first.process.stop)
        after = len(runs(second.place.folder))
        await until(lambda: len(runs(second.place.folder)) > after + 100)
        ended.set()
    numbers = [number for each in (first, second) for _, number in runs(each.place.folder)]
    assert len(numbers) == len(set(numbers))
