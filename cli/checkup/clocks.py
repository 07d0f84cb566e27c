"""Compares clocks: tokens, leases and deadlines are told in time."""

from __future__ import annotations

import ctypes
import time
from typing import Final

from cli.checkup.finding import Finding, graded, ok, warn

WARN_S: Final = 1.0
FAIL_S: Final = 5.0

_TIMEX_BYTES: Final = 256
_TIME_ERROR: Final = 5
_NTP: Final = "Let one time service (chrony, systemd-timesyncd) set the clocks of all machines."


def compared(name: str, theirs_s: float, asked_s: float) -> Finding:
    """The difference to a clock that told `theirs_s` when asked at `asked_s` of ours."""
    middle = (asked_s + time.time()) / 2
    difference = theirs_s - middle
    found = f"{difference:+.2f} s to this machine"
    off = abs(difference)
    return graded(name, found, _NTP, bad=off > WARN_S, worse=off > FAIL_S)


def synchronised() -> Finding:
    """Whether the kernel knows of a time service that steers its clock."""
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))  # reads only
    if state < 0:
        return ok("clock", "this system does not say whether a time service sets it")
    if state == _TIME_ERROR:
        return warn("clock", "no time service sets it", _NTP)
    return ok("clock", "set by a time service")
