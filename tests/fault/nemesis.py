"""Hurts victims at random, and heals them: the same seed gives the same schedule."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from loadtests.proxy import Proxy
from tests.fault.history import History
from tests.fault.victims import Victim

JOIN_S: Final = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that can be done to a victim, and undone."""

    name: str
    begin: Callable[[], None]
    end: Callable[[], None]


def process_faults(victims: Mapping[str, Victim], *, kills_alone: bool = False) -> list[Fault]:
    """Killing each victim until it is started again, and freezing it for a time."""
    kills = [
        Fault(name=f"kill {name}", begin=victim.kill, end=victim.start)
        for name, victim in victims.items()
    ]
    pauses = [
        Fault(name=f"pause {name}", begin=victim.pause, end=victim.resume)
        for name, victim in victims.items()
    ]
    return kills if kills_alone else [*kills, *pauses]


def link_faults(links: Mapping[str, Proxy]) -> list[Fault]:
    """Cutting each link, letting it hang half open, refusing, and making it slow."""
    found: list[Fault] = []
    for name, link in links.items():
        found += [
            Fault(name=f"cut {name}", begin=link.cut, end=link.heal),
            Fault(name=f"hold {name}", begin=link.hold, end=link.heal),
            Fault(name=f"refuse {name}", begin=link.refuse, end=link.heal),
            Fault(name=f"slow {name}", begin=_slow(link), end=link.heal),
        ]
    return found


def _slow(link: Proxy) -> Callable[[], None]:
    return lambda: link.delay(0.02, jitter_s=0.08)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Wait, do a fault, and undo it after a time."""

    wait_s: float
    fault: Fault
    for_s: float


class Nemesis:
    """Does one fault after another in a thread while it is entered; leaving heals.

    Args:
        faults: what it may do.
        seed: of the schedule.
        history: gets each fault.
        every_s: seconds between two faults, from and to.
        for_s: seconds that a fault lasts, from and to.
    """

    def __init__(
        self,
        faults: Sequence[Fault],
        *,
        seed: int,
        history: History,
        every_s: tuple[float, float] = (0.5, 2.0),
        for_s: tuple[float, float] = (0.05, 1.0),
    ) -> None:
        self._faults = faults
        self._seed = seed
        self._history = history
        self._every_s = every_s
        self._for_s = for_s
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nemesis")
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if error is None and self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End the fault under way, and do no other.

        Raises:
            TimeoutError: it does not end.
        """
        self._enough.set()
        self._thread.join(JOIN_S)
        if self._thread.is_alive():
            raise TimeoutError(f"a fault is not healed after {JOIN_S:g} s")

    def schedule(self) -> Iterator[Step]:
        """What it does, without end."""
        chance = random.Random(self._seed)
        while True:
            yield Step(
                wait_s=chance.uniform(*self._every_s),
                fault=chance.choice(self._faults),
                for_s=chance.uniform(*self._for_s),
            )

    def _run(self) -> None:
        try:
            for step in self.schedule():
                if self._enough.wait(step.wait_s):
                    return
                self._do(step)
        except BaseException as error:
            self._error = error

    def _do(self, step: Step) -> None:
        self._history.fault(step.fault.name, for_s=round(step.for_s, 3))
        step.fault.begin()
        try:
            self._enough.wait(step.for_s)
        finally:
            began = time.monotonic()
            step.fault.end()
            self._history.fault("healed", took_s=round(time.monotonic() - began, 3))
