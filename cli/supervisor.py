"""Starts programs by fork, restarts what dies, replaces what it is told to, stops them in order.

The supervisor is the zygote: it has imported everything and created nothing of
gRPC, no thread and no loop, so that a forked child serves at once and shares
its memory. It must stay so for as long as it runs, for it forks again when a
child dies.
"""

from __future__ import annotations

import math
import os
import selectors
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Self

from cli.child import SIGNALS, log_to, rotate, tail
from cli.processes.control import Control
from cli.processes.handover import Handed, Renewal
from cli.processes.orders import Orders
from cli.processes.process import Process, drained, fork, say
from cli.processes.rolling import START_S, Roller
from cli.processes.slot import Fall, Program, Slot
from mesh.registry import Entry

__all__ = ["Program", "StartError", "Supervisor"]

STOP_POLL_S = 0.01
TICK_S = 0.5


class StartError(Exception):
    """A program could not start; the text has the end of its log."""


class Supervisor:
    """Runs `programs`.

    Args:
        programs: what it runs.
        log_dir: where each logs to `NAME.log`; None: to this process's own output.
        on_restart: told of each process that ended by itself and is started again.
        run_dir: where it takes orders (`cli.processes.control`); None: it takes none.
        grace_s: seconds that a process which is replaced has to end.
        start_s: seconds that the process which replaces it has until it serves.
        renewal: how it begins anew when it is told to; None: it does not.
        handed: what it goes on with, by the supervisor that it was before it began anew.
    """

    def __init__(
        self,
        programs: Iterable[Program],
        log_dir: Path | None,
        on_restart: Callable[[Fall], None] = lambda _: None,
        *,
        run_dir: Path | None = None,
        grace_s: float = 10.0,
        start_s: float = START_S,
        renewal: Renewal | None = None,
        handed: Handed | None = None,
    ) -> None:
        self._slots = {program.name: Slot(program) for program in programs}
        self._log_dir = log_dir
        self._run_dir = run_dir
        self._on_restart = on_restart
        roller = Roller(yard=self, clock=time.monotonic, grace_s=grace_s, start_s=start_s)
        self._orders = Orders(self._slots, roller)
        self._renewal, self._handed = renewal, handed
        self._selector = selectors.DefaultSelector()
        self._control: Control | None = None
        self._stopping = False
        self._hurry = False
        self._wake_read, self._wake_write = os.pipe()

    def __enter__(self) -> Self:
        if self._log_dir is not None:
            self._log_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        for end in (self._wake_read, self._wake_write):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop_asked)
        self._selector.register(
            self._wake_read, selectors.EVENT_READ, lambda: drained(self._wake_read)
        )
        if self._run_dir is not None:
            listener = self._handed.listener if self._handed else None
            self._control = Control(self._run_dir, self._selector, self._orders.answer, listener)
        self._adopt(self._handed.processes if self._handed else {})
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # blocked while it began anew
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(grace_s=0)
        signal.set_wakeup_fd(-1)
        if self._control is not None:
            self._control.close()
        self._selector.close()

    @property
    def entries(self) -> Mapping[str, Entry | None]:
        """Where each program serves; None while it does not."""
        return {name: slot.entry for name, slot in self._slots.items()}

    @property
    def stopping(self) -> bool:
        """Whether a signal asked to stop."""
        return self._stopping

    def start(self, timeout_s: float = START_S) -> None:
        """Start all programs, each once those it comes after serve; return when all do.

        Raises:
            StartError: one ended, or did not serve in time.
        """
        limit = time.monotonic() + timeout_s
        while not self._stopping and any(s.entry is None for s in self._slots.values()):
            for slot in self._slots.values():
                if slot.process is None and not slot.is_held and self._may_start(slot):
                    slot.process = self.begin(slot)
            self._wait(TICK_S)
            self._go_on()
            self._refuse_dead()
            if time.monotonic() > limit:
                late = ", ".join(n for n, s in self._slots.items() if s.entry is None)
                raise StartError(f"not serving after {timeout_s:g} s: {late}")

    def watch(self) -> None:
        """Restart what dies and do what is ordered, until a signal asks to stop."""
        self._orders.renewal = self._renewal
        while not self._stopping:
            self.tick(TICK_S)

    def tick(self, timeout_s: float) -> None:
        """One round of watching: wait for something to happen and act on it."""
        self._wait(timeout_s)
        for name in self._slots:
            if self._log_dir is not None:
                rotate(self._log_dir / f"{name}.log")
        now = time.monotonic()
        for slot in [*self._slots.values()]:
            self._mend(slot, now)
        self._go_on()

    def run_once(self, name: str, work: Callable[[], None]) -> int:
        """Run `work` in a child with this process's terminal; returns its exit code."""
        child = Process(fork(name, work, self._leave), time.monotonic())
        while (code := child.ended()) is None:
            if self._stopping:
                child.send(signal.SIGTERM)
            self.tick(0.1)
        return code

    def stop(self, grace_s: float) -> None:
        """End all children, each as soon as those that come after it have ended.

        Each has `grace_s` seconds from when it is told. A signal that asks again
        meanwhile ends them at once.
        """
        self._stopping = True
        limits: dict[Process, float] = {}
        while left := [(slot, child) for slot in self._slots.values() for child in slot.living]:
            needed = {name for slot, _ in left for name in slot.program.after}
            for slot, child in left:
                if slot.program.name not in needed and child not in limits:
                    limits[child] = time.monotonic() + grace_s
                    child.send(signal.SIGTERM)
                if self._hurry or time.monotonic() >= limits.get(child, math.inf):
                    child.send(signal.SIGKILL)
            time.sleep(STOP_POLL_S)
            for _, child in left:
                self._ended(child)

    # What rolling restarts need.

    def begin(self, slot: Slot) -> Process:
        """Fork a process for the slot's program."""
        read, write = os.pipe()
        name = slot.program.name

        def work() -> None:
            os.close(read)
            if self._log_dir is not None:
                log_to(self._log_dir / f"{name}.log")
            slot.program.run(lambda entry: say(write, entry))

        child = Process(fork(name, work, self._leave), time.monotonic(), pipe=read)
        os.close(write)
        os.set_blocking(read, False)
        self._follow(child)
        return child

    def why(self, slot: Slot) -> str:
        """The end of the log of the slot's processes; empty when it is this process's own."""
        return tail(self._log_dir / f"{slot.program.name}.log") if self._log_dir else ""

    # The rest.

    def _go_on(self) -> None:
        """Go on with what was ordered."""
        if self._control is not None and not self._stopping:
            self._control.go_on()
            if self._orders.is_renewal_due and self._renewal is not None:
                running = {name: slot.process for name, slot in self._slots.items()}
                self._renewal.become(
                    {name: child for name, child in running.items() if child is not None},
                    self._control.listener,
                )

    def _adopt(self, processes: Mapping[str, Process]) -> None:
        """Take over processes; those that no program is named as are told to end."""
        for name, child in processes.items():
            slot = self._slots.setdefault(name, Slot(Program(name, _nothing), is_over=True))
            slot.process = child
            if child.pipe >= 0:
                self._follow(child)
            if slot.is_over:
                child.send(signal.SIGTERM)

    def _stop_asked(self, *_: object) -> None:
        self._hurry = self._stopping
        self._stopping = True

    def _may_start(self, slot: Slot) -> bool:
        before = (self._slots.get(name) for name in slot.program.after)
        return all(other is None or other.entry is not None for other in before)

    def _leave(self) -> None:
        """Let go of what is the supervisor's, in a child."""
        if self._control is not None:
            self._control.leave()
        for key in list(self._selector.get_map().values()):
            if key.fileobj != self._wake_read and isinstance(key.fileobj, int):
                os.close(key.fileobj)
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _wait(self, timeout_s: float) -> None:
        for key, _ in self._selector.select(timeout_s):
            key.data()

    def _follow(self, child: Process) -> None:
        """Hear what a child says."""
        self._selector.register(child.pipe, selectors.EVENT_READ, lambda: self._hear(child))

    def _hear(self, child: Process) -> None:
        if not child.hear():
            self._close_pipe(child)

    def _close_pipe(self, child: Process) -> None:
        if child.pipe >= 0:
            self._selector.unregister(child.pipe)
            os.close(child.pipe)
            child.pipe = -1

    def _ended(self, child: Process) -> int | None:
        """The exit code of a child that ended (negative: the signal), else None."""
        code = child.ended()
        if code is not None:
            self._close_pipe(child)
        return code

    def _mend(self, slot: Slot, now: float) -> None:
        """Start again what ended by itself, when it is time."""
        for child in slot.living:
            self._ended(child)
        if slot.is_over and not [*slot.living]:
            self._slots.pop(slot.program.name)
        if slot.is_held or slot.is_over or self._stopping:
            return
        if slot.process is None:
            if now >= slot.start_at:
                slot.process = self.begin(slot)
        elif (code := slot.process.code) is not None:
            self._on_restart(slot.fell(code, now))

    def _refuse_dead(self) -> None:
        for name, slot in self._slots.items():
            if slot.process is not None and (code := self._ended(slot.process)) is not None:
                raise StartError(f"{name} ended with code {code}\n{self.why(slot)}".rstrip())


def _nothing(_: Callable[[Entry], None]) -> None:
    """What a program that is over runs."""
