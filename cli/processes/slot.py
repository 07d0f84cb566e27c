"""A place among a supervisor's processes: what runs there, and when it is started again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from cli.processes.process import Process
from mesh.registry import Entry

FIRST_BACKOFF_S: Final = 0.1
LAST_BACKOFF_S: Final = 5.0
STEADY_S: Final = 30.0
"""A process that ran this long starts again without back-off."""
CRASH_LOOP: Final = 5
"""So many early ends in a row are told as a loop."""


@dataclass(frozen=True, slots=True)
class Program:
    """What a process runs: `run(ready)` serves until SIGTERM and calls `ready` once it serves."""

    name: str
    run: Callable[[Callable[[Entry], None]], None]
    after: tuple[str, ...] = ()
    """Programs that must serve before it starts, and until it has ended."""
    service: str = ""
    """The service that it is a process of; empty: it is named as the program."""
    overlaps: bool = True
    """Whether two processes of it may serve side by side while one replaces the other."""


@dataclass(frozen=True, slots=True)
class Fall:
    """A process that ended though nobody had asked: how, and when it is started again."""

    name: str
    code: int
    backoff_s: float
    in_a_row: int

    @property
    def is_loop(self) -> bool:
        """Whether it has ended early so often that it will hardly come right by itself."""
        return self.in_a_row >= CRASH_LOOP

    def __str__(self) -> str:
        how = f"signal {-self.code}" if self.code < 0 else f"code {self.code}"
        again = f"{self.name} ended with {how}; starting it again in {self.backoff_s:g} s"
        return f"{again} ({self.in_a_row} times in a row: see its log)" if self.is_loop else again


@dataclass(slots=True, eq=False)
class Slot:
    """A program, and the process that runs it now.

    While one replaces another, `successor` is the one that does not serve yet and
    `leaving` the one that no longer has to; `is_held` says that a rolling restart decides
    what runs here, and `is_over` that nothing is to run here any more.
    """

    program: Program
    process: Process | None = None
    successor: Process | None = None
    leaving: Process | None = None
    is_held: bool = False
    is_over: bool = False
    start_at: float = 0.0
    backoff_s: float = FIRST_BACKOFF_S
    falls: int = 0
    restarts: int = 0
    last_code: int | None = None

    @property
    def service(self) -> str:
        """The service that this is a process of."""
        return self.program.service or self.program.name

    @property
    def entry(self) -> Entry | None:
        """Where the program serves; None while it does not."""
        process = self.process
        return process.entry if process is not None and process.code is None else None

    @property
    def living(self) -> Iterator[Process]:
        """All processes of the program that have not been seen to end."""
        for process in (self.process, self.successor, self.leaving):
            if process is not None and process.code is None:
                yield process

    def fell(self, code: int, now: float) -> Fall:
        """Note that the process ended by itself, and when it is to start again."""
        assert self.process is not None
        if now - self.process.started_at >= STEADY_S:
            self.backoff_s, self.falls = FIRST_BACKOFF_S, 0
        self.process = None
        self.start_at = now + self.backoff_s
        self.falls += 1
        self.restarts += 1
        self.last_code = code
        fall = Fall(self.program.name, code, self.backoff_s, self.falls)
        self.backoff_s = min(self.backoff_s * 2, LAST_BACKOFF_S)
        return fall

    def told(self, now: float) -> dict[str, Any]:
        """How it is, for who asks the supervisor."""
        process = self.process
        return {
            "name": self.program.name,
            "service": self.service,
            "pid": process.pid if process else 0,
            "state": self._state(),
            "restarts": self.restarts,
            "in_a_row": self.falls,
            "last_code": self.last_code,
            "next_s": round(max(0.0, self.start_at - now), 1) if process is None else 0.0,
        }

    def _state(self) -> str:
        if self.is_held:
            return "replacing"
        if self.process is None:
            return "crash loop" if self.falls >= CRASH_LOOP else "waiting"
        return "serving" if self.process.serves else "starting"
