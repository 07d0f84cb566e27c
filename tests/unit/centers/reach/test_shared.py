"""Questions asked once for all who ask them at a time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from centers.reach.shared import Shared
from mesh import context
from mesh.context import EMPTY, Principal, RequestContext


@dataclass
class Oracle:
    """Answers how often it was asked so far, when it is let."""

    asked: list[str] = field(default_factory=list)
    contexts: list[RequestContext] = field(default_factory=list)
    busy: asyncio.Event = field(default_factory=asyncio.Event)
    free: asyncio.Event = field(default_factory=asyncio.Event)
    failure: Exception | None = None

    async def ask(self, question: str) -> int:
        self.asked.append(question)
        self.contexts.append(context.current())
        number = len(self.asked)
        self.busy.set()
        await self.free.wait()
        if self.failure is not None:
            raise self.failure
        return number


async def test_who_asks_the_same_at_once_is_answered_by_one_call() -> None:
    """Other questions have calls of their own."""
    oracle = Oracle()
    oracle.free.set()
    shared = Shared(oracle.ask)
    answers = await asyncio.gather(*(shared.get(one) for one in ("a", "a", "b", "a")))
    assert sorted(oracle.asked) == ["a", "b"]
    assert answers[0] == answers[1] == answers[3] != answers[2]


async def test_nobody_gets_an_answer_that_was_asked_for_before_he_asked() -> None:
    """A call is under way: who asks now waits for the next one, all of them for the same."""
    oracle = Oracle()
    shared = Shared(oracle.ask)
    first = asyncio.create_task(shared.get("a"))
    await oracle.busy.wait()
    later = [asyncio.create_task(shared.get("a")) for _ in range(3)]
    await asyncio.sleep(0)
    assert oracle.asked == ["a"]
    oracle.free.set()
    assert await first == 1
    assert await asyncio.gather(*later) == [2, 2, 2]


async def test_who_leaves_does_not_take_the_answer_along() -> None:
    """The one who made the call gave up; the other has his answer."""
    oracle = Oracle()
    shared = Shared(oracle.ask)
    leaver, stayer = (asyncio.create_task(shared.get("a")) for _ in range(2))
    await oracle.busy.wait()
    leaver.cancel()
    oracle.free.set()
    assert await stayer == 1
    assert len(oracle.asked) == 1


async def test_a_failure_is_everybody_s_and_the_next_question_is_asked_anew() -> None:
    """Nothing of it is kept."""
    oracle = Oracle(failure=LookupError())
    oracle.free.set()
    shared = Shared(oracle.ask)
    answers = await asyncio.gather(shared.get("a"), shared.get("a"), return_exceptions=True)
    assert [type(one) for one in answers] == [LookupError, LookupError]
    oracle.failure = None
    assert await shared.get("a") == 2


async def test_a_shared_question_is_nobody_s_own() -> None:
    """It goes out as the service's, without the user and the deadline of whoever came first."""
    oracle = Oracle()
    oracle.free.set()
    rm = Principal(subject="rm007", permissions=frozenset())
    with context.using(RequestContext(principal=rm, token="t")):
        await Shared(oracle.ask).get("a")
    assert oracle.contexts == [EMPTY]


@pytest.mark.parametrize("rounds", [1, 50])
async def test_nothing_is_left_of_what_was_answered(rounds: int) -> None:
    """Questions are as many as customers and texts: they must not pile up."""
    oracle = Oracle()
    oracle.free.set()
    shared = Shared(oracle.ask)
    for number in range(rounds):
        await shared.get(f"question {number}")
    assert (shared._boarding, shared._flying) == ({}, {})
