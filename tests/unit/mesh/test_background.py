"""Work in the background lives as long as what it is entered with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from mesh.background import Background


class Work(Background):
    """Does as it is told and keeps how far it came."""

    def __init__(self, work: Callable[[], Awaitable[object]]) -> None:
        self._work = work
        self.started = asyncio.Event()
        self.ended = asyncio.Event()

    async def _run(self) -> None:
        self.started.set()
        try:
            await self._work()
        finally:
            await asyncio.sleep(0)
            self.ended.set()


async def forever() -> None:
    await asyncio.Event().wait()


async def fail() -> None:
    raise ValueError("spoilt")


async def test_work_goes_on_while_entered_and_has_ended_after() -> None:
    """Leaving cancels the work and waits for its clean-up."""
    async with Work(forever) as work:
        await work.started.wait()
        assert not work.ended.is_set()
    assert work.ended.is_set()


async def test_work_that_has_not_begun_is_not_begun_on_leaving() -> None:
    """Entering and leaving at once does nothing."""
    async with Work(forever) as work:
        pass
    assert not work.started.is_set()


async def test_work_may_end_by_itself() -> None:
    """Leaving after the end is no error."""
    async with Work(lambda: asyncio.sleep(0)) as work:
        await work.ended.wait()


async def test_failed_work_is_known_on_leaving() -> None:
    """What ended the work is raised, not lost."""
    with pytest.raises(ValueError, match="spoilt"):
        async with Work(fail) as work:
            await work.ended.wait()


async def test_whoever_waits_for_the_end_can_be_cancelled() -> None:
    """A cancellation of the caller is his, and is not taken for the work's."""
    hold = asyncio.Event()

    async def stubborn() -> None:
        try:
            await forever()
        finally:
            await hold.wait()

    work = Work(stubborn)

    async def enter_and_leave() -> None:
        async with work:
            await work.started.wait()
        raise AssertionError("went on after it was cancelled")

    caller = asyncio.create_task(enter_and_leave())
    await work.started.wait()
    for _ in range(3):
        await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    hold.set()
    await work.ended.wait()
