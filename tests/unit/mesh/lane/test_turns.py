"""Callers take turns: counted, not timed."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

from mesh.lane.turns import PER_ROUND, SHARED_S, WHILE_SHARED, Turns

mark: ContextVar[str] = ContextVar("mark", default="")


class Calls:
    """Calls of one lane that wait; writes down when they are begun."""

    def __init__(self, caller: str, number: int, log: list[str]) -> None:
        self.caller = self.sender = caller
        self.left = number
        self.log = log
        self.marks: set[str] = set()

    def start(self, most: int) -> bool:
        self.marks.add(mark.get())
        begun = min(most, self.left)
        self.left -= begun
        self.log += [self.caller] * begun
        return self.left > 0


async def _round() -> None:
    await asyncio.sleep(0)


async def test_a_caller_with_a_thousand_calls_delays_nobody() -> None:
    """One call each of all others is begun in the next round."""
    log: list[str] = []
    turns = Turns()
    turns.ready(Calls("much", 1_000, log))
    await _round()
    others = [f"other {n}" for n in range(50)]
    for other in others:
        turns.ready(Calls(other, 1, log))
    before = len(log)
    await _round()
    assert set(others) <= set(log[before:])


async def test_two_busy_callers_get_the_same() -> None:
    """Shares differ by one at most, though one of them has ten lanes."""
    log: list[str] = []
    turns = Turns()
    turns.ready(Calls("one", 1_000, log))
    for _ in range(10):
        turns.ready(Calls("ten", 1_000, log))
    for _ in range(20):
        await _round()
    one, ten = log.count("one"), log.count("ten")
    assert one > 0
    assert abs(one - ten) <= 1


async def test_a_round_begins_a_bounded_number_of_calls() -> None:
    """Then the loop looks at its sockets again."""
    log: list[str] = []
    turns = Turns()
    turns.ready(Calls("one", 1_000, log))
    await _round()
    assert len(log) == PER_ROUND
    await _round()
    assert len(log) == 2 * PER_ROUND


async def test_all_calls_are_begun_in_the_end() -> None:
    """Nothing is forgotten, and rounds stop when nothing waits."""
    log: list[str] = []
    turns = Turns()
    for n in range(30):
        turns.ready(Calls(f"caller {n}", n, log))
    for _ in range(60):
        await _round()
    assert len(log) == sum(range(30))
    assert not turns._waiting
    assert not turns._is_set


async def test_a_queue_that_is_ready_twice_is_served_once_a_round() -> None:
    """Whoever says so often gets no more for it."""
    log: list[str] = []
    turns = Turns()
    calls = Calls("one", 1_000, log)
    for _ in range(5):
        turns.ready(calls)
    await _round()
    assert len(log) == PER_ROUND


async def test_calls_begin_with_nothing_of_those_before_them() -> None:
    """A round is no part of the call that came first."""
    turns = Turns()
    calls = Calls("one", 1, [])
    token = mark.set("of the first call")
    turns.ready(calls)
    mark.reset(token)
    await _round()
    assert calls.marks == {""}


async def test_rounds_are_short_while_several_processes_send() -> None:
    """Whoever calls seldom waits for the few calls that were begun before his."""
    log: list[str] = []
    now = 0.0
    turns = Turns(lambda: now)
    turns.ready(Calls("seldom", 1, log))
    await _round()
    turns.ready(Calls("often", 1_000, log))
    await _round()
    assert log.count("often") == WHILE_SHARED
    now = SHARED_S
    await _round()
    assert log.count("often") == WHILE_SHARED + PER_ROUND


async def test_a_lone_call_begins_at_once_though_others_wait() -> None:
    """It is the only one of its lane, and would be among the next."""
    log: list[str] = []
    turns = Turns()
    turns.ready(Calls("often", 1_000, log))
    turns.alone(Calls("seldom", 1, log))
    assert log == ["seldom"]
