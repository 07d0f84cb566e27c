"""A thread that is started only when there is something to do."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, RLock, Thread

from sequencer.sdk._lock import owned


class LateThread:
    """A daemon thread that starts at the first need and ends once.

    Args:
        run: what it does, until `ending` is set.
        name: of the thread.
    """

    def __init__(self, run: Callable[[], None], name: str) -> None:
        self._run = run
        self._name = name
        self._starting = RLock()
        self._thread: Thread | None = None
        self.ending = Event()

    def need(self) -> None:
        """Have it run. Safe in a signal handler."""
        if self._thread is not None or owned(self._starting):
            return  # whom this has interrupted goes on with it
        with self._starting:
            if self._thread is None and not self.ending.is_set():
                self._thread = Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def end(self, wake: Callable[[], None], *, timeout_s: float) -> bool:
        """End it; whether it has run and has ended by now.

        Args:
            wake: called once `ending` is set, lest it wait for something to do.
            timeout_s: how long it is waited for.
        """
        self.ending.set()
        wake()
        with self._starting:
            thread, self._thread = self._thread, None
        if thread is None:
            return False
        thread.join(timeout_s)
        return not thread.is_alive()
