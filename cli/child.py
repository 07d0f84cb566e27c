"""What a supervised process does first, and the log that it writes to."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
from pathlib import Path

CONFIGURATION_ERROR = 78
"""Exit code of a service that cannot start as configured (EX_CONFIG)."""
MAX_LOG_BYTES = 16 << 20
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)

_PR_SET_PDEATHSIG = 1


def become_child(parent: int) -> None:
    """Undo what is the supervisor's: its signals; and die when it dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)
    signal.set_wakeup_fd(-1)
    os.setpgid(0, 0)  # Ctrl-C goes to the supervisor, which stops us in order
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def log_to(path: Path) -> None:
    """Send standard output and error to the log file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def rotate(path: Path) -> None:
    """Put a large log aside and begin it anew; its writer, who appends, goes on unaware.

    Lines written between the two steps are lost.
    """
    if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
        shutil.copyfile(path, path.with_suffix(".log.1"))
        os.truncate(path, 0)


def tail(path: Path, lines: int = 12) -> str:
    """The last lines of a log; empty when there is none."""
    text = path.read_text(errors="replace") if path.exists() else ""
    return "\n".join(text.splitlines()[-lines:])
