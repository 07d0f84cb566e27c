"""Starts programs by fork, restarts what dies, stops them in order.

The supervisor is the zygote: it has imported everything and created nothing of
gRPC, no thread and no loop, so that a forked child serves at once and shares
its memory. It must stay so for as long as it runs, for it forks again when a
child dies.
"""

from __future__ import annotations

import json
import math
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

import typer

from cli.child import CONFIGURATION_ERROR, SIGNALS, become_child, log_to, rotate, tail
from mesh.registry import Entry, State
from mesh.settings import SettingsError
from mesh.storage import StorageError

FIRST_BACKOFF_S, LAST_BACKOFF_S = 0.1, 5.0
STOP_POLL_S = 0.01
STEADY_S = 30.0
"""A child that ran this long starts again without back-off."""


class StartError(Exception):
    """A program could not start; the text has the end of its log."""


@dataclass(frozen=True, slots=True)
class Program:
    """What a child runs: `run(ready)` serves until SIGTERM and calls `ready` once it serves."""

    name: str
    run: Callable[[Callable[[Entry], None]], None]
    after: tuple[str, ...] = ()
    """Programs that must serve before it starts, and until it has ended."""


@dataclass(slots=True)
class _Child:
    program: Program
    pid: int = 0
    pipe: int = -1
    started_at: float = 0.0
    start_at: float = 0.0
    backoff_s: float = FIRST_BACKOFF_S
    restarts: int = 0
    entry: Entry | None = None
    heard: bytes = field(default=b"", repr=False)


class Supervisor:
    """Runs `programs`; logs of each go to `log_dir/NAME.log`.

    `on_restart` is told each restart: name, exit code, and the seconds until it starts again.
    """

    def __init__(
        self,
        programs: Iterable[Program],
        log_dir: Path,
        on_restart: Callable[[str, int, float], None] = lambda *_: None,
    ) -> None:
        self._children = {program.name: _Child(program) for program in programs}
        self._log_dir = log_dir
        self._on_restart = on_restart
        self._selector = selectors.DefaultSelector()
        self._stopping = False
        self._hurry = False
        self._wake_read, self._wake_write = os.pipe()

    def __enter__(self) -> Self:
        self._log_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        for end in (self._wake_read, self._wake_write):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop_asked)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(grace_s=0)
        signal.set_wakeup_fd(-1)
        self._selector.close()

    @property
    def entries(self) -> Mapping[str, Entry | None]:
        """Where each program serves; None while it does not."""
        return {name: child.entry for name, child in self._children.items()}

    @property
    def stopping(self) -> bool:
        """Whether a signal asked to stop."""
        return self._stopping

    def start(self, timeout_s: float = 60.0) -> None:
        """Start all programs, each once those it comes after serve; return when all do.

        Raises:
            StartError: one ended, or did not serve in time.
        """
        limit = time.monotonic() + timeout_s
        while not self._stopping and any(c.entry is None for c in self._children.values()):
            for child in self._children.values():
                if not child.pid and self._may_start(child):
                    self._fork(child)
            self._wait(0.5)
            self._refuse_dead()
            if time.monotonic() > limit:
                late = ", ".join(n for n, c in self._children.items() if c.entry is None)
                raise StartError(f"not serving after {timeout_s:g} s: {late}")

    def watch(self) -> None:
        """Restart what dies until a signal asks to stop."""
        while not self._stopping:
            self.tick(0.5)

    def tick(self, timeout_s: float) -> None:
        """One round of watching: wait for something to happen and act on it."""
        self._wait(timeout_s)
        for name in self._children:
            rotate(self._log(name))
        now = time.monotonic()
        for child in self._children.values():
            if child.pid and (code := self._ended(child)) is not None:
                self._schedule(child, code, now)
            elif not child.pid and now >= child.start_at and not self._stopping:
                self._fork(child)

    def run_once(self, name: str, work: Callable[[], None]) -> int:
        """Run `work` in a child with this process's terminal; returns its exit code."""
        pid = self._fork_bare(name, work)
        while True:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            if self._stopping:
                os.kill(pid, signal.SIGTERM)
            self.tick(0.1)

    def stop(self, grace_s: float) -> None:
        """End all children, each as soon as those that come after it have ended.

        Each has `grace_s` seconds from when it is told. A signal that asks again
        meanwhile ends them at once.
        """
        self._stopping = True
        limits: dict[str, float] = {}
        while left := [child for child in self._children.values() if child.pid]:
            needed = {name for child in left for name in child.program.after}
            for child in left:
                name = child.program.name
                if name not in needed and name not in limits:
                    limits[name] = time.monotonic() + grace_s
                    os.kill(child.pid, signal.SIGTERM)
                if self._hurry or time.monotonic() >= limits.get(name, math.inf):
                    os.kill(child.pid, signal.SIGKILL)
            time.sleep(STOP_POLL_S)
            for child in left:
                self._ended(child)

    def _stop_asked(self, *_: object) -> None:
        self._hurry = self._stopping
        self._stopping = True

    def _may_start(self, child: _Child) -> bool:
        before = (self._children.get(name) for name in child.program.after)
        return all(other is None or other.entry is not None for other in before)

    def _fork(self, child: _Child) -> None:
        read, write = os.pipe()

        def ready(entry: Entry) -> None:
            os.write(write, json.dumps(asdict(entry)).encode() + b"\n")

        def work() -> None:
            os.close(read)
            log_to(self._log(child.program.name))
            child.program.run(ready)

        child.pid = self._fork_bare(child.program.name, work)
        os.close(write)
        os.set_blocking(read, False)
        child.pipe, child.heard, child.entry = read, b"", None
        child.started_at = time.monotonic()
        self._selector.register(read, selectors.EVENT_READ, child)

    def _fork_bare(self, name: str, work: Callable[[], None]) -> int:
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

    def _wait(self, timeout_s: float) -> None:
        for key, _ in self._selector.select(timeout_s):
            if key.data is None:
                _drain(self._wake_read)
            else:
                self._hear(key.data)

    def _hear(self, child: _Child) -> None:
        chunk = _drain(child.pipe)
        child.heard += chunk
        if b"\n" in child.heard:
            fields = json.loads(child.heard.partition(b"\n")[0])
            child.entry = Entry(**{**fields, "state": State(fields["state"])})
        if not chunk or child.entry:
            self._close_pipe(child)

    def _close_pipe(self, child: _Child) -> None:
        if child.pipe >= 0:
            self._selector.unregister(child.pipe)
            os.close(child.pipe)
            child.pipe = -1

    def _ended(self, child: _Child) -> int | None:
        """The exit code of a child that ended (negative: the signal), else None."""
        done, status = os.waitpid(child.pid, os.WNOHANG)
        if not done:
            return None
        self._close_pipe(child)
        child.pid, child.entry = 0, None
        return os.waitstatus_to_exitcode(status)

    def _schedule(self, child: _Child, code: int, now: float) -> None:
        if now - child.started_at >= STEADY_S:
            child.backoff_s = FIRST_BACKOFF_S
        child.start_at = now + child.backoff_s
        child.restarts += 1
        if not self._stopping:
            self._on_restart(child.program.name, code, child.backoff_s)
        child.backoff_s = min(child.backoff_s * 2, LAST_BACKOFF_S)

    def _refuse_dead(self) -> None:
        for name, child in self._children.items():
            if child.pid and (code := self._ended(child)) is not None:
                raise StartError(f"{name} ended with code {code}\n{tail(self._log(name))}")

    def _log(self, name: str) -> Path:
        return self._log_dir / f"{name}.log"


def _drain(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except BlockingIOError:
        return b""
