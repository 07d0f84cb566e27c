"""Clocks that are wrong by a known time."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import timedelta

import pytest

from mesh.clock import ManualClock
from tests.fault.clocks import ShiftedClock, shifted


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
