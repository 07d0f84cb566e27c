"""Rolling restarts: each process is replaced in turn, and none ends before another serves.

They are written as generators that the supervisor goes on with whenever something has
happened: each step that is worth telling is yielded, and None where there is something to
wait for.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from cli.processes.process import Process
from cli.processes.slot import Slot

START_S: Final = 60.0
"""How long a process may take until it serves."""


class RollError(Exception):
    """A successor did not come to serve; the text says why, and what stands now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What happened to a process: `what` is starting, serving, draining or ended."""

    name: str
    what: str
    pid: int


class Yard(Protocol):
    """Where processes come from: the supervisor."""

    def begin(self, slot: Slot) -> Process:
        """Fork a process for the slot's program."""

    def why(self, slot: Slot) -> str:
        """The end of the log of its processes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roller:
    """Replaces processes.

    Args:
        yard: makes them.
        clock: seconds that never step back.
        grace_s: how long one that was told to end may take; then it is killed.
        start_s: how long a new one may take until it serves.
    """

    yard: Yard
    clock: Callable[[], float]
    grace_s: float
    start_s: float

    def roll(self, slots: Sequence[Slot]) -> Iterator[Step | None]:
        """Replace the processes of the slots, one after another.

        Raises:
            RollError: a new one did not serve. What was not replaced yet goes on as it was.
        """
        for slot in slots:
            slot.is_held = True
            try:
                yield from self._beside(slot) if slot.program.overlaps else self._after(slot)
            finally:
                slot.is_held = False

    def _beside(self, slot: Slot) -> Iterator[Step | None]:
        """The new process serves before the old one is told to end."""
        new = slot.successor = self.yard.begin(slot)
        yield Step(name=slot.program.name, what="starting", pid=new.pid)
        try:
            yield from self._until_serving(slot, new)
        except RollError:
            slot.successor = None
            raise
        slot.leaving, slot.process, slot.successor = slot.process, new, None
        _renew(slot)
        yield Step(name=slot.program.name, what="serving", pid=new.pid)
        yield from self._end(slot)

    def _after(self, slot: Slot) -> Iterator[Step | None]:
        """The old process has ended before the new one begins: only one may run."""
        slot.leaving, slot.process = slot.process, None
        yield from self._end(slot)
        new = slot.process = self.yard.begin(slot)
        _renew(slot)
        yield Step(name=slot.program.name, what="starting", pid=new.pid)
        yield from self._until_serving(slot, new)
        yield Step(name=slot.program.name, what="serving", pid=new.pid)

    def _until_serving(self, slot: Slot, new: Process) -> Iterator[None]:
        limit = self.clock() + self.start_s
        while new.entry is None:
            code = new.ended()
            if code is not None:
                raise RollError(self._problem(slot, f"ended with code {code}"))
            if self.clock() >= limit:
                new.send(signal.SIGKILL)
                while new.ended() is None:
                    yield None
                raise RollError(self._problem(slot, f"did not serve within {self.start_s:g} s"))
            yield None

    def _problem(self, slot: Slot, what: str) -> str:
        stands = (
            "the process before it goes on"
            if slot.program.overlaps and slot.entry
            else "it is started again and again"
        )
        text = f"the new process of {slot.program.name} {what}; {stands}"
        return f"{text}\n{self.yard.why(slot)}".rstrip()

    def _end(self, slot: Slot) -> Iterator[Step | None]:
        """Have the process that leaves drain and end."""
        old = slot.leaving
        if old is None or old.ended() is not None:
            slot.leaving = None
            return
        yield Step(name=slot.program.name, what="draining", pid=old.pid)
        old.send(signal.SIGTERM)
        limit = self.clock() + self.grace_s
        while old.ended() is None:
            if self.clock() >= limit:
                old.send(signal.SIGKILL)
            yield None
        slot.leaving = None
        yield Step(name=slot.program.name, what="ended", pid=old.pid)


def _renew(slot: Slot) -> None:
    """A process that somebody asked for begins without the falls of those before it."""
    slot.falls = 0
    slot.last_code = None
