"""What can be killed, frozen and started again: servers, and processes of our own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol, Self

STOP_S: Final = 30.0


class Victim(Protocol):
    """A process that faults happen to. The servers of `loadtests.servers` are such, too."""

    def start(self) -> None:
        """Start it again; returns once it serves."""

    def stop(self) -> None:
        """End it in good order."""

    def kill(self) -> None:
        """End it at once."""

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers."""

    def resume(self) -> None:
        """Let it go on."""


class Worker:
    """A Python module as a process, as a context manager and a `Victim`.

    The module calls `serving()` once it serves. `said` has what it printed in all its
    lives. It ends on SIGTERM.

    Args:
        module: run as `python -m MODULE`.
        arguments: for it.
        environ: settings beside those of this process.
        log: where its standard output goes, appended over restarts.
        prefix: a command to run it under, as ("faketime", "-f", "+1h").
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
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.resume()
        self.kill()

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
            self._process = subprocess.Popen(
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

    def stop(self) -> None:
        """End it by SIGTERM and wait until it has."""
        self._signal(signal.SIGTERM)
        self._wait()

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._signal(signal.SIGKILL)
        self._wait()

    def pause(self) -> None:
        """Freeze it."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def wait(self, timeout_s: float) -> int:
        """Wait until it ends by itself; its exit code."""
        assert self._process is not None
        return self._process.wait(timeout_s)

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def _wait(self) -> None:
        if self._process is not None:
            self._process.wait(STOP_S)
            self._process = None


def serving() -> None:
    """Say, in a worker, that it serves."""
    descriptor = int(os.environ["READY_FD"])
    os.write(descriptor, b"1")
    os.close(descriptor)
