"""A process of one's own that can be killed, frozen and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
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

    @property
    def resident_bytes(self) -> int:
        """Memory that the process itself has in use at the moment."""
        assert self._process is not None
        pages = Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

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


def asked_to_stop() -> threading.Event:
    """An event that SIGTERM sets; to be asked for before the process has other threads.

    A thread waits for the signal. A handler would run in the main thread between any two
    steps, also while that holds the lock of this very event, and would wait for itself.
    """
    asked = threading.Event()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def wait() -> None:
        signal.sigwait({signal.SIGTERM})
        asked.set()

    threading.Thread(target=wait, name="SIGTERM", daemon=True).start()
    return asked


class Worker(OwnProcess):
    """A Python module as a process.

    The module calls `serving()` once it serves. `said` has what it printed in all its
    lives. It ends on SIGTERM.

    Args:
        module: run as `python -m MODULE`.
        arguments: for it.
        environ: settings beside those of this process.
        log: where its standard output goes, appended over restarts.
        prefix: a command to run it under, such as one that shifts its clock.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        log: Path,
        environ: Mapping[str, str] | None = None,
        prefix: tuple[str, ...] = (),
    ) -> None:
        self._command = (*prefix, sys.executable, "-m", module, *arguments)
        self._environ = {**os.environ, **(environ or {})}
        self._log = log

    def under(self, *prefix: str) -> Worker:
        """The same process, run under a command; to be started in its place."""
        other = Worker("", log=self._log, environ=self._environ)
        other._command = (*prefix, *self._command)
        return other

    @property
    def said(self) -> list[str]:
        """The lines that it has printed, in all its lives."""
        return self._log.read_text().splitlines() if self._log.exists() else []

    def start(self) -> None:
        """Start it; returns once it serves.

        Raises:
            RuntimeError: it ended before that.
        """
        read, write = os.pipe()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - a module of our own
                self._command,
                stdout=log,
                env={**self._environ, "READY_FD": str(write)},
                pass_fds=(write,),
                start_new_session=True,
            )
        os.close(write)
        with os.fdopen(read, "rb") as ready:
            if not ready.read(1):
                self.kill()
                raise RuntimeError(f"{self._command} ended before it served")


def serving() -> None:
    """Say, in a worker, that it serves."""
    descriptor = int(os.environ["READY_FD"])
    os.write(descriptor, b"1")
    os.close(descriptor)
