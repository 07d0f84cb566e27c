"""A supervisor begins anew, with the code and the settings of now, while its processes go on.

It rehearses first: the same command, in a process of its own, imports everything and reads the
settings, and ends. Then it replaces its own program by `exec`: it keeps its process id, and so
its children, and is handed what it must know of them. Processes that it forks from then on are
of the new code.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Final, NoReturn, Self

from cli.child import SIGNALS
from cli.processes.process import Process, entry_of

REHEARSAL_S: Final = 120.0
"""How long the new code may take to be imported."""
LINES: Final = 12
"""Of what a rehearsal says at last, that are told."""
_HANDED: Final = "_ENGINE_HANDED"
"""The variable with the number of the file that the state is in."""
_REHEARSES: Final = "_ENGINE_REHEARSES"


class RehearsalError(Exception):
    """The command would not start as things are now; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What was picked at the start, and clients know."""

    gateway: int
    metrics: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """What a supervisor hands to the one that it becomes. Numbers of open files are kept.

    Args:
        processes: those that run, by the names of their slots.
        listener: the socket that takes orders.
        ports: as they were picked.
        lock: the file that keeps others from the folder; -1: none.
    """

    processes: Mapping[str, Process]
    listener: int
    ports: Ports
    lock: int = -1

    @classmethod
    def read(cls, text: str) -> Self:
        """What `written` wrote."""
        fields = json.loads(text)
        processes = {name: _process(one) for name, one in fields["processes"].items()}
        return cls(**{**fields, "processes": processes, "ports": Ports(**fields["ports"])})

    def written(self) -> str:
        """As text, for `read`."""
        processes = {name: _fields(process) for name, process in self.processes.items()}
        return json.dumps(
            {
                "processes": processes,
                "listener": self.listener,
                "ports": asdict(self.ports),
                "lock": self.lock,
            }
        )

    @property
    def files(self) -> Iterator[int]:
        """The open files that must stay open."""
        yield self.listener
        if self.lock >= 0:
            yield self.lock
        for process in self.processes.values():
            if process.pipe >= 0:
                yield process.pipe


def _first_environ() -> dict[str, str]:
    """The environment that this process was started with, before a settings file added to it."""
    pairs = Path("/proc/self/environ").read_bytes().split(b"\0")
    found = (os.fsdecode(pair).partition("=") for pair in pairs if pair)
    return {name: value for name, _, value in found if name not in (_HANDED, _REHEARSES)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """How a supervisor begins anew.

    Args:
        ports: what was picked, and is kept.
        lock: the open file that keeps others from the folder; -1: none.
        argv: the command, as this process was started.
        environ: the environment, as this process was started.
    """

    ports: Ports
    lock: int = -1
    argv: tuple[str, ...] = field(default_factory=lambda: (sys.executable, *sys.orig_argv[1:]))
    environ: Mapping[str, str] = field(default_factory=_first_environ)

    def rehearse(self, clock: Callable[[], float] = time.monotonic) -> Iterator[None]:
        """Start the command for a rehearsal; yields while that runs.

        Raises:
            RehearsalError: it ended with an error, or took too long.
        """
        limit = clock() + REHEARSAL_S
        with tempfile.TemporaryFile("w+") as output, self._rehearsing(output) as child:
            try:
                while child.poll() is None:
                    if clock() >= limit:
                        raise RehearsalError(f"it was not ready after {REHEARSAL_S:g} s")
                    yield None
            finally:
                child.kill()
            output.seek(0)
            if child.returncode:
                raise RehearsalError("\n".join(output.read().splitlines()[-LINES:]))

    def become(self, processes: Mapping[str, Process], listener: int) -> NoReturn:
        """Go on as the command started anew, with the same process id and what is handed."""
        handed = Handed(processes=processes, listener=listener, ports=self.ports, lock=self.lock)
        file = os.memfd_create("handed", 0)
        os.write(file, handed.written().encode())
        for descriptor in handed.files:
            os.set_inheritable(descriptor, True)
        sys.stdout.flush()
        sys.stderr.flush()
        # Signals wait until the new program can take them.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        os.execve(self.argv[0], self.argv, {**self.environ, _HANDED: str(file)})  # noqa: S606

    def _rehearsing(self, output: IO[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - our own command
            self.argv,
            env={**self.environ, _REHEARSES: "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def is_rehearsal() -> bool:
    """Whether this process only has to see that it could start."""
    return _REHEARSES in os.environ


def taken() -> Handed | None:
    """What this process was handed by the supervisor that it was; None at a plain start."""
    number = os.environ.pop(_HANDED, None)
    if number is None:
        return None
    with os.fdopen(int(number), "r") as file:
        file.seek(0)
        handed = Handed.read(file.read())
    for descriptor in handed.files:
        os.set_inheritable(descriptor, False)
    return handed


def _fields(process: Process) -> dict[str, Any]:
    return {
        "pid": process.pid,
        "started_at": process.started_at,
        "pipe": process.pipe,
        "entry": asdict(process.entry) if process.entry else None,
    }


def _process(fields: Mapping[str, Any]) -> Process:
    entry = fields["entry"]
    return Process(**{**fields, "entry": entry_of(entry) if entry else None})
