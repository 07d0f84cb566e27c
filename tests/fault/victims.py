"""What can be killed, frozen and started again: servers, and processes of our own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from loadtests.processes import OwnProcess


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


class Worker(OwnProcess):
    """A Python module as a process.

    The module calls `serving()` once it serves. `said` has what it printed in all its
    lives. It ends on SIGTERM.

    Args:
        module: run as `python -m MODULE`.
        arguments: for it.
        environ: settings beside those of this process.
        log: where its standard output goes, appended over restarts.
        prefix: a command to run it under, as `clocks.shifted` answers one.
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


def serving() -> None:
    """Say, in a worker, that it serves."""
    descriptor = int(os.environ["READY_FD"])
    os.write(descriptor, b"1")
    os.close(descriptor)
