"""Calls that are overdue are ended, by one timer, and no other call is."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from contextvars import Context, ContextVar
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mesh.alarm import REST_S
from mesh.overdue import Entry, Overdue

LATE_S = 2 * REST_S
"""How late a call may be ended when the loop is free."""


@dataclass(eq=False)
class FakeTask:
    """Counts who asks it to cancel, as a task does."""

    asked: int = 0

    def cancel(self) -> bool:
        self.asked += 1
        return True

    def cancelling(self) -> int:
        return self.asked

    def uncancel(self) -> int:
        self.asked -= 1
        return self.asked


@dataclass(eq=False)
class Ring:
    """A timer that was set."""

    at: float
    callback: Callable[[], object]
    is_off: bool = False

    def cancel(self) -> None:
        self.is_off = True


@dataclass
class Loop:
    """A clock that is moved by hand, and the timers set on it."""

    now: float = 1000.0
    rings: list[Ring] = field(default_factory=list)
    rung: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def call_later(
        self, delay: float, callback: Callable[[], object], *, context: Context | None = None
    ) -> Any:
        assert context is not None
        ring = Ring(self.now + delay, callback)
        self.rings.append(ring)
        return ring

    def pending(self) -> list[Ring]:
        return [ring for ring in self.rings if not ring.is_off]

    def pass_to(self, moment: float) -> None:
        """Let time pass, and every timer ring that is set for before."""
        while due := [ring for ring in self.pending() if ring.at <= moment]:
            ring = min(due, key=lambda ring: ring.at)
            ring.is_off = True
            self.now = max(self.now, ring.at)
            self.rung.append(self.now)
            ring.callback()
        self.now = max(self.now, moment)


class Calls(RuleBasedStateMachine):
    """Any calls, at any times, against what each of them may expect."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = Loop()
        self.overdue = Overdue(self.loop.monotonic, self.loop)
        self.running: list[tuple[Entry, FakeTask, float]] = []

    @rule(after_s=st.one_of(st.floats(-1, 20), st.floats(-0.02, 0.02), st.just(math.inf)))
    def begin(self, after_s: float) -> None:
        task: Any = FakeTask()
        due = self.loop.now + after_s
        in_time = max(due, self.loop.now) + LATE_S
        self.running.append((self.overdue.add(due, task), task, in_time))

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        entry, task, _ = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        assert self.overdue.remove(entry) is entry.is_overdue
        assert task.asked == 0

    @rule(by_s=st.one_of(st.floats(0, 20), st.floats(0, 0.02)))
    def wait(self, by_s: float) -> None:
        self.loop.pass_to(self.loop.now + by_s)

    @invariant()
    def none_is_ended_early_or_twice_and_all_are_ended_in_time(self) -> None:
        now = self.loop.now
        for entry, task, in_time in self.running:
            assert task.asked == entry.is_overdue
            assert entry.due <= now or not entry.is_overdue
            assert in_time > now or entry.is_overdue

    @invariant()
    def one_timer_is_set_at_most_and_it_rests_between_two_looks(self) -> None:
        assert len(self.loop.pending()) <= 1
        rung = self.loop.rung
        assert all(b - a >= REST_S for a, b in pairwise(rung))

    def teardown(self) -> None:
        """Whoever leaves leaves nothing behind, and at last no timer either."""
        for entry, *_ in self.running:
            self.overdue.remove(entry)
        assert len(self.overdue) == 0
        self.loop.pass_to(self.loop.now + 60)
        assert not self.loop.pending()


TestCalls = Calls.TestCase


def test_calls_that_are_due_already_do_not_put_the_timer_off() -> None:
    """However many come, and each longer overdue than the one before, the first is ended."""
    loop = Loop()
    overdue = Overdue(loop.monotonic, loop)
    first: Any = FakeTask()
    overdue.add(loop.now - 1, first)
    for number in range(100):
        loop.pass_to(loop.now + REST_S / 10)
        late: Any = FakeTask()
        overdue.add(loop.now - 1 - number, late)
    assert first.asked == 1


def test_calls_of_one_time_out_share_a_timer() -> None:
    """A thousand calls that begin one after the other set it once."""
    loop = Loop()
    overdue = Overdue(loop.monotonic, loop)
    for _ in range(1000):
        task: Any = FakeTask()
        overdue.remove(overdue.add(loop.now + 10, task))
        loop.pass_to(loop.now + 0.001)
    assert len(loop.rings) == 1


def test_a_task_that_cannot_be_cancelled_hinders_no_other() -> None:
    """The error is the loop's to report; the calls that are left are looked at again."""

    class Stubborn(FakeTask):
        def cancel(self) -> bool:
            super().cancel()
            raise RuntimeError("no")

    loop = Loop()
    overdue = Overdue(loop.monotonic, loop)
    tasks: list[Any] = [Stubborn(), FakeTask(), Stubborn(), FakeTask()]
    for task in tasks:
        overdue.add(loop.now + 1, task)
    for _ in range(len(tasks)):
        with suppress(RuntimeError):
            loop.pass_to(loop.now + 2)
    assert [task.asked for task in tasks] == [1, 1, 1, 1]
    assert not loop.pending()


@pytest.fixture
async def overdue() -> AsyncIterator[Overdue]:
    """Calls of this test's loop; all of them have ended after it."""
    overdue = Overdue()
    yield overdue
    assert len(overdue) == 0


async def bounded(overdue: Overdue, due: float, work: Any) -> Any:
    """`work` as a server runs it."""
    task = asyncio.current_task()
    assert task is not None
    entry = overdue.add(due, task)
    try:
        answer = await work
    except asyncio.CancelledError:
        if overdue.remove(entry):
            raise TimeoutError from None
        raise
    overdue.remove(entry)
    return answer


async def forever() -> None:
    await asyncio.Event().wait()


async def test_a_loop_that_was_blocked_ends_what_is_overdue_and_nothing_else(
    overdue: Overdue,
) -> None:
    """A handler that blocks in a call of C is late itself; those beside it fare as they should."""
    now = time.monotonic()

    async def block() -> str:
        while time.monotonic() <= now + 0.01:
            time.sleep(0.001)  # noqa: ASYNC251 - what must not be done
        return "done"

    late = asyncio.ensure_future(bounded(overdue, now + 0.01, forever()))
    patient = asyncio.ensure_future(bounded(overdue, now + 60, forever()))
    blocking = asyncio.ensure_future(bounded(overdue, now + 0.01, block()))
    with pytest.raises(TimeoutError):
        await late
    assert await blocking == "done"
    assert not patient.done()
    patient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await patient


async def test_who_swallows_the_cancellation_goes_on_and_hinders_no_other(
    overdue: Overdue,
) -> None:
    """It is cancelled once; the next call is ended in time all the same."""
    go_on = asyncio.Event()

    async def deaf() -> str:
        with suppress(asyncio.CancelledError):
            await forever()
        await go_on.wait()
        return "done"

    first = asyncio.ensure_future(bounded(overdue, time.monotonic(), deaf()))
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await bounded(overdue, time.monotonic() + 0.01, forever())
    assert not first.done()
    go_on.set()
    assert await first == "done"


async def test_the_timer_knows_nothing_of_the_call_that_it_was_set_in() -> None:
    """It outlives the call, and must keep neither its user nor its trace."""
    user = ContextVar("user", default="nobody")
    seen: list[str] = []
    loop = asyncio.get_running_loop()
    looked = asyncio.Event()

    def monotonic() -> float:
        seen.append(user.get())
        if len(seen) > 1:
            looked.set()
        return loop.time()

    user.set("rm001")
    task = asyncio.current_task()
    assert task is not None
    overdue = Overdue(monotonic)
    overdue.remove(overdue.add(loop.time(), task))
    await looked.wait()
    assert seen[:2] == ["rm001", "nobody"]
