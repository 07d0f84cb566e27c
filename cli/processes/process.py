"""One process that a supervisor has forked: what it says, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import typer

from cli.child import CONFIGURATION_ERROR, SIGNALS, become_child
from mesh.registry import Entry, State
from mesh.settings import SettingsError
from mesh.storage import StorageError


@dataclass(slots=True, eq=False)
class Process:
    """A child, as its supervisor sees it.

    `pipe` is where it says that it serves, or -1 once nothing more is to be heard.
    `entry` is what it said; `code` how it ended (negative: by that signal).
    """

    pid: int
    started_at: float
    pipe: int = -1
    entry: Entry | None = None
    code: int | None = None
    heard: bytes = field(default=b"", repr=False)

    @property
    def serves(self) -> bool:
        """Whether it has said that it serves, and lives."""
        return self.entry is not None and self.code is None

    def hear(self) -> bool:
        """Take in what it has said; whether there may be more."""
        chunk = drained(self.pipe)
        self.heard += chunk
        if b"\n" in self.heard:
            self.entry = entry_of(json.loads(self.heard.partition(b"\n")[0]))
        return bool(chunk) and self.entry is None

    def ended(self) -> int | None:
        """How it ended; None while it runs."""
        if self.code is None:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; one that has ended takes none."""
        if self.ended() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def fork(name: str, work: Callable[[], None], leave: Callable[[], None]) -> int:
    """Fork a process that does `work` and ends; answers its id.

    `leave` is called in it first, to let go of what is the parent's. What goes wrong is
    written to its standard error and becomes its exit code.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    # A signal that came before the child has its own handlers would be lost in it.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        return pid
    code = 1
    try:
        become_child(parent)
        leave()
        work()
        code = 0
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else 1
    except typer.Exit as exit_:
        code = exit_.exit_code
    except (OSError, SettingsError, StorageError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        code = CONFIGURATION_ERROR
    except BaseException:  # noqa: BLE001 - a child must never return into the supervisor
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def say(pipe: int, entry: Entry) -> None:
    """Tell the supervisor at the other end of the pipe that this process serves."""
    os.write(pipe, json.dumps(asdict(entry)).encode() + b"\n")


def entry_of(fields: dict[str, Any]) -> Entry:
    """The entry that was told as JSON."""
    lanes = tuple(map(str, fields.get("lanes", ())))
    return Entry(**{**fields, "state": State(fields["state"]), "lanes": lanes})


def drained(descriptor: int) -> bytes:
    """What can be read at once; empty at the end, and when there is nothing yet."""
    try:
        return os.read(descriptor, 65536)
    except BlockingIOError:
        return b""
