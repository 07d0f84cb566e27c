"""How threads and tasks wait for ids to arrive."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from threading import Condition, RLock


class Arrival:
    """Wakes who waits for a change of what `lock` guards; all methods need the lock held."""

    __slots__ = ("_condition", "_futures", "_lock")

    def __init__(self, lock: RLock) -> None:
        self._lock = lock
        self._condition: Condition | None = None  # made when somebody waits: most never do
        self._futures: dict[asyncio.Future[None], None] = {}

    @property
    def awaited(self) -> bool:
        """Whether a future waits."""
        return bool(self._futures)

    def wait(self, timeout_s: float) -> bool:
        """Let the lock go until `tell`; false after `timeout_s`."""
        if self._condition is None:
            self._condition = Condition(self._lock)
        return self._condition.wait(timeout_s)

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
