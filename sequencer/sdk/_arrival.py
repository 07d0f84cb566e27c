"""How threads and tasks wait for ids to arrive."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from threading import Condition, RLock


class Arrival:
    """Wakes who waits for a change of what `lock` guards; all methods need the lock held."""

    __slots__ = ("_condition", "_futures", "_lock", "_sleepers")

    def __init__(self, lock: RLock) -> None:
        self._lock = lock
        self._condition: Condition | None = None  # takes 1 KB, so it is there only while needed
        self._sleepers = 0
        self._futures: dict[asyncio.Future[None], None] = {}

    @property
    def awaited(self) -> bool:
        """Whether a future waits."""
        return bool(self._futures)

    def wait(self, timeout_s: float) -> bool:
        """Let the lock go until `tell`; false after `timeout_s`."""
        condition = self._condition = self._condition or Condition(self._lock)
        self._sleepers += 1
        try:
            return condition.wait(timeout_s)
        finally:
            self._sleepers -= 1
            if not self._sleepers:
                self._condition = None

    def add(self, changed: asyncio.Future[None]) -> None:
        """Complete the future, on its loop, at the next `tell`."""
        self._futures[changed] = None

    def discard(self, changed: asyncio.Future[None]) -> None:
        """Forget a future."""
        self._futures.pop(changed, None)

    def tell(self) -> None:
        """Wake all."""
        if self._condition is not None:
            self._condition.notify_all()
        for changed in tuple(self._futures):
            with suppress(RuntimeError):  # its loop has been closed
                changed.get_loop().call_soon_threadsafe(_complete, changed)


def _complete(changed: asyncio.Future[None]) -> None:
    if not changed.done():
        changed.set_result(None)


def on_event_loop() -> bool:
    """Whether this thread is running an event loop, which must not be blocked."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
