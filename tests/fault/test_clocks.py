"""Clocks that are wrong by a known time."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import timedelta

import pytest

from mesh.clock import ManualClock
from tests.fault.clocks import SHARED, ShiftedClock, shifted, tidy


def test_an_injected_clock_is_off_in_the_time_of_day_alone() -> None:
    """What is measured in seconds goes on as before."""
    right = ManualClock()
    wrong = ShiftedClock(timedelta(hours=-1), clock=right)
    assert right.now() - wrong.now() == timedelta(hours=1)
    assert wrong.monotonic() == right.monotonic()
    wrong.by = timedelta(hours=2)
    assert wrong.now() - right.now() == timedelta(hours=2)


@pytest.mark.real
def test_a_whole_process_has_a_shifted_clock() -> None:
    """Every call for the time of day within it is off by an hour."""
    command = (*shifted(-3600), sys.executable, "-c", "import time; print(time.time())")
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert 3500 < time.time() - float(said) < 3700


@pytest.mark.real
def test_a_killed_process_leaves_nothing_in_shared_memory() -> None:
    """What others have there stays."""
    command = (
        *shifted(-3600),
        sys.executable,
        "-c",
        "import time; print(1, flush=True); time.sleep(60)",
    )
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        tidy()
        assert _left(process.pid)
        process.kill()
    tidy()
    assert not _left(process.pid)


def _left(pid: int) -> list[str]:
    return [path.name for path in SHARED.iterdir() if path.name.endswith(f"_{pid}")]
