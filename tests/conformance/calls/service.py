"""The servicers of the suite: of behaviours, and of what a test does beside them."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from types import ModuleType
from typing import Any

from tests.conformance.calls import contexts, handlers, statuses
from tests.conformance.calls.contract import messages
from tests.conformance.calls.notes import Book, Notes

Behaviour = Callable[[Any, Any, Notes], Awaitable[Any]]
"""Takes the request, the context and the call's notes; returns the payload or a message."""


@cache
def behaviours() -> Mapping[str, Behaviour]:
    """What handlers can do, by name."""
    return {
        name: function
        for module in (handlers, statuses, contexts)
        for name, function in _public(module)
    }


def _public(module: ModuleType) -> list[tuple[str, Any]]:
    functions = inspect.getmembers(module, inspect.iscoroutinefunction)
    return [pair for pair in functions if not pair[0].startswith("_")]


class BehaviourService:
    """Does what each request tells it to."""

    def __init__(self, book: Book) -> None:
        self._book = book

    async def Act(self, request: Any, context: Any) -> Any:
        act = behaviours()[request.behaviour]
        answer = await act(request, context, self._book[request.id])
        if isinstance(answer, bytes):
            return messages().ActResponse(id=request.id, payload=answer)
        return answer


class ControlService:
    """Tells the test what handlers noted, and lets them go on."""

    def __init__(self, book: Book, stop: Callable[[float], Awaitable[None]]) -> None:
        self._book = book
        self._stop = stop

    async def Note(self, request: Any, context: Any) -> Any:
        value = await self._book[request.id].wait_for(request.event)
        return messages().NoteResponse(value=value)

    async def Release(self, request: Any, context: Any) -> Any:
        self._book[request.id].release()
        return messages().Empty()

    async def Stop(self, request: Any, context: Any) -> Any:
        await self._stop(request.grace_s)
        return messages().Empty()
