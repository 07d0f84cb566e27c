"""Questions that many ask at a time, each asked once for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from typing import Generic, TypeVar

from mesh.context import EMPTY, using

Question = TypeVar("Question", bound=Hashable)
Answer = TypeVar("Answer")


class Shared(Generic[Question, Answer]):
    """Asks for everybody who has the same question, as the service itself.

    Of one question there is one call at a time; who asks while it is under way waits
    for the next. So nobody gets an answer that was given before he asked: what is
    revoked shows with the next question, as if each had asked for himself.

    Args:
        ask: answers a question in bounded time; what it raises, all who wait get.
    """

    def __init__(self, ask: Callable[[Question], Awaitable[Answer]]) -> None:
        self._ask = ask
        self._boarding: dict[Question, asyncio.Task[Answer]] = {}
        self._flying: dict[Question, asyncio.Task[Answer]] = {}

    async def get(self, question: Question) -> Answer:
        """The answer, given after now."""
        flight = self._boarding.get(question)
        if flight is None:
            flight = asyncio.create_task(self._fly(question))
            flight.add_done_callback(_look_at_failure)
            self._boarding[question] = flight
        # One who leaves must not take the answer away from the others.
        return await asyncio.shield(flight)

    async def _fly(self, question: Question) -> Answer:
        before = self._flying.get(question)
        if before is None:
            await asyncio.sleep(0)  # who asks within this turn of the loop comes along
        else:
            await asyncio.wait((before,))
        this = self._flying[question] = self._boarding.pop(question)
        try:
            with using(EMPTY):  # neither the user nor the deadline of one counts
                return await self._ask(question)
        finally:
            if self._flying.get(question) is this:
                del self._flying[question]


def _look_at_failure(flight: asyncio.Task[Answer]) -> None:
    """Those who waited have it; they may all have left."""
    with suppress(asyncio.CancelledError):
        flight.exception()
