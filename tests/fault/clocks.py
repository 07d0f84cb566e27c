"""Clocks that are wrong: within a process, and for a whole one."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from mesh.clock import Clock, SystemClock

SHARED: Final = Path("/dev/shm")


class ShiftedClock:
    """The system's clock, off by a time that can be changed while it runs.

    Only the time of day is off: what is measured in seconds since some start is not.
    """

    def __init__(self, by: timedelta = timedelta(0), *, clock: Clock | None = None) -> None:
        self.by = by
        self._clock = clock or SystemClock()

    def now(self) -> datetime:
        return self._clock.now() + self.by

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


def shifted(seconds: float) -> tuple[str, ...]:
    """What to put before a command, so that its process has a clock that is off so much.

    Raises:
        FileNotFoundError: Debian's package `faketime` is not there: `make setup-real`.
    """
    program = shutil.which("faketime")
    if program is None:
        raise FileNotFoundError("faketime is not installed: run 'make setup-real'")
    return (program, "-f", f"{seconds:+g}s")


def tidy() -> None:
    """Remove what processes with a shifted clock left in shared memory when they were killed.

    It is named after the process, and one that gets such a name again does not start.
    """
    for kind in ("faketime_shm_*", "sem.faketime_sem_*"):
        for path in SHARED.glob(kind):
            if not Path(f"/proc/{path.name.rpartition('_')[2]}").exists():
                path.unlink(missing_ok=True)
