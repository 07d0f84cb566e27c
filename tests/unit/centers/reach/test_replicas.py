"""Two processes of the centre on one database: what one does, the other knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from centers.reach.domain import State
from mesh.clock import ManualClock
from mesh.storage import Address, open_store
from mesh.telemetry import NullTracer


@pytest.fixture
async def other(desk: Any, database: Address, clock: ManualClock) -> AsyncIterator[Any]:
    """Another process: a store of its own over the same database, and the same parties."""
    async with open_store(database, tracer=NullTracer(), clock=clock) as store:
        other = type(desk)(store, clock)
        other.sms, other.ids = desk.sms, desk.ids
        yield other


async def test_two_dispatchers_hand_each_contact_over_once(desk: Any, other: Any) -> None:
    """Both look at the same queue; who takes an errand up has it."""
    made = [await desk.ask(customer) for customer in range(1, 161)]
    async with desk.dispatcher(), other.dispatcher(), asyncio.timeout(20):
        while await desk.errands():  # noqa: ASYNC110 - in the database
            await asyncio.sleep(0.01)
    assert sorted(contact for contact, _ in desk.sms.handed) == [one.contact_id for one in made]


async def test_x14_stopping_a_scene_waits_for_what_another_process_hands_over(
    desk: Any, other: Any
) -> None:
    """It returns once the party has answered the other one, and not before."""
    await desk.task(30, scene=40)
    made = await desk.ask(task_id=30)
    desk.sms.gate = asyncio.Event()
    async with desk.dispatcher():
        await desk.sms.busy.wait()
        stopping = asyncio.create_task(other.contacts.hold(41, 40, held=True))
        await asyncio.wait([stopping], timeout=0.1)
        assert not stopping.done()
        desk.sms.gate.set()
        await stopping
        assert [contact for contact, _ in desk.sms.handed] == [made.contact_id]


async def test_x14_stopping_a_scene_does_not_wait_for_what_a_dead_process_left(
    desk: Any, other: Any
) -> None:
    """What it had taken up counts for as long as a party may be asked, and not longer."""
    await desk.task(30, scene=40)
    made = await desk.ask(task_id=30)
    desk.sms.failure = grpc.aio.AioRpcError(
        grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata()
    )
    await desk.dispatch()
    desk.later(seconds=1.1)
    async with asyncio.timeout(0.5):
        await other.contacts.hold(40, held=True)
    assert await other.state(made.contact_id) is State.DISPATCHED


async def test_x14_stopping_a_scene_waits_within_its_bound_alone(desk: Any, other: Any) -> None:
    """A party that never answers holds it up for less than a second, whatever the clock does."""
    await desk.task(30, scene=40)
    await desk.ask(task_id=30)
    desk.sms.gate = asyncio.Event()
    async with desk.dispatcher():
        await desk.sms.busy.wait()
        async with asyncio.timeout(5):
            await other.contacts.hold(40, held=True)
        assert desk.sms.handed == []
        desk.sms.gate.set()
