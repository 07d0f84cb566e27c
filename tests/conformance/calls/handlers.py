"""What handlers do while a call lives: answer, hold, clean up, ignore."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any

from tests.conformance.calls.notes import Notes

_SEEN: ContextVar[str] = ContextVar("seen", default="nothing")


async def echo(request: Any, context: Any, notes: Notes) -> bytes:
    """Answer with the request's payload, or with `size` bytes."""
    notes("started")
    answer = bytes(request.size) if request.size else request.payload
    notes("finished")
    return answer


async def hold(request: Any, context: Any, notes: Notes) -> Any:
    """Wait for the test, note how it ends."""
    notes("started", context.time_remaining())
    try:
        await notes.released()
    except asyncio.CancelledError:
        notes("cancelled")
        raise
    notes("finished")
    return request.payload


async def clean_up(request: Any, context: Any, notes: Notes) -> bytes:
    """Await more, when cancelled, before it ends."""
    notes("started")
    try:
        await asyncio.Event().wait()
    finally:
        await notes.released()
        notes("cleaned up")
    return b""


async def ignore_cancellation(request: Any, context: Any, notes: Notes) -> bytes:
    """Answer although the call was cancelled."""
    notes("started")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await notes.released()
        notes("went on")
    return b"too late"


async def call_back(request: Any, context: Any, notes: Notes) -> Any:
    """Note what the context says of itself before and after the end."""

    def ended(given: Any) -> None:
        notes("ended", [given is context, given.done(), given.cancelled()])

    context.add_done_callback(ended)
    notes("started", [context.done(), context.cancelled()])
    if request.payload == b"raise":
        raise ValueError("raised")
    if request.payload == b"hold":
        await notes.released()
    return request.payload


async def remember(request: Any, context: Any, notes: Notes) -> bytes:
    """Answer what an earlier call left in a context variable, then leave something."""
    before = _SEEN.get()
    _SEEN.set(request.id)
    await asyncio.sleep(0)
    assert _SEEN.get() == request.id
    return before.encode()
