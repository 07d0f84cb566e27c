"""Calls end at their deadline, and whose cancellation it was stays clear."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from engine.customer.v1 import customer_pb2
from mesh import contract
from mesh.call import Call
from mesh.deadline import Deadline
from mesh.interceptors.deadline import DeadlineInterceptor
from mesh.overdue import Overdue

METHOD = contract.method(
    customer_pb2.DESCRIPTOR.services_by_name["CustomerService"].methods_by_name["GetCustomer"]
)


class Desk:
    """Serves calls with a deadline; their calls are counted after each."""

    def __init__(self) -> None:
        self.overdue = Overdue()
        self.inside = asyncio.Event()

    async def serve(self, work: Callable[[], Awaitable[Any]], seconds: float = math.inf) -> Any:
        async def handler(call: Call, request: Any) -> Any:
            self.inside.set()
            return await work()

        transport: Any = None
        call = Call(
            method=METHOD, transport=transport, metadata={}, deadline=Deadline.after(seconds)
        )
        try:
            return await DeadlineInterceptor(self.overdue).bind(METHOD, handler)(call, None)
        finally:
            assert len(self.overdue) == 0


async def forever() -> None:
    await asyncio.Event().wait()


async def test_an_answer_in_time_is_the_answer() -> None:
    """The deadline does nothing to calls that keep it."""

    async def work() -> str:
        await asyncio.sleep(0)
        return "done"

    assert await Desk().serve(work, 60) == "done"


async def test_a_call_that_is_overdue_times_out_and_its_task_lives_on() -> None:
    """Nobody has cancelled the task; it may go on to answer."""
    with pytest.raises(TimeoutError):
        await Desk().serve(forever, 0.01)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)


async def test_a_call_whose_client_went_away_is_cancelled() -> None:
    """A cancellation that is not the deadline's stays one."""
    desk = Desk()
    task = asyncio.ensure_future(desk.serve(forever, 60))
    await desk.inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


@pytest.mark.parametrize("foreign_first", [True, False])
async def test_a_client_that_goes_away_at_the_deadline_has_cancelled_the_call(
    *, foreign_first: bool
) -> None:
    """When both come at once, the cancellation from outside counts: there is nobody to answer."""
    desk = Desk()

    async def work() -> None:
        mine = asyncio.current_task()
        assert mine is not None
        if foreign_first:
            mine.cancel()
        try:
            await forever()
        except asyncio.CancelledError:
            if foreign_first:
                await overdue()
            else:
                mine.cancel()
            raise

    async def overdue() -> None:
        with pytest.raises(asyncio.CancelledError):
            await forever()

    task = asyncio.ensure_future(desk.serve(work, 0.01))
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_task_that_was_being_cancelled_before_can_time_out() -> None:
    """Who catches a cancellation and calls again, as clean-up does, has a deadline as well."""
    desk = Desk()

    async def whole() -> str:
        try:
            await forever()
        except asyncio.CancelledError:
            with pytest.raises(TimeoutError):
                await desk.serve(forever, 0.01)
            return "cleaned up"
        return ""

    task = asyncio.ensure_future(whole())
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "cleaned up"


async def test_the_error_of_an_overdue_call_is_its_own() -> None:
    """Who fails otherwise while he is cancelled is not said to have timed out."""

    async def work() -> None:
        try:
            await forever()
        except asyncio.CancelledError:
            raise ValueError("no") from None

    with pytest.raises(ValueError, match="no"):
        await Desk().serve(work, 0.01)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_calls_within_calls_end_at_the_earlier_deadline() -> None:
    """The inner one's time-out is an error like any other to the outer one."""
    desk = Desk()
    inner = Desk()
    with pytest.raises(TimeoutError):
        await desk.serve(lambda: inner.serve(forever, 0.01), 60)
    with pytest.raises(TimeoutError):
        await desk.serve(lambda: inner.serve(forever, 60), 0.01)
