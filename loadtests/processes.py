"""A process of one's own that can be killed, frozen and started again."""

from __future__ import annotations

import os
import signal
import subprocess
from abc import ABC, abstractmethod
from typing import Final, Self

STOP_S: Final = 30.0


class OwnProcess(ABC):
    """Started when entered, gone when left; `start` begins a new life of it.

    It is the leader of a process group of its own, and what is done to it is done to
    the group.
    """

    _process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def start(self) -> None:
        """Start it; returns once it serves, and raises when it does not."""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.resume()
        self.kill()

    def stop(self) -> None:
        """End it in good order; returns once it has ended."""
        self._signal(signal.SIGTERM)
        self._wait()

    def kill(self) -> None:
        """End it at once, as a loss of its process does."""
        self._signal(signal.SIGKILL)
        self._wait()

    def restart(self) -> None:
        """Kill it and start it again on the same data."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Freeze it: its connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen one go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def _wait(self) -> None:
        if self._process is not None:
            self._process.wait(STOP_S)
            self._process = None
