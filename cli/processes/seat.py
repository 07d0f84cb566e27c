"""The number of a process among those of its service on this host.

It tells their sockets apart, whoever started them: the number is claimed by a lock on a file
in the run folder, which the system gives back when the process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mesh.app import replica_name

MAX_SEATS: Final = 64
"""Processes of one service on one host, with those that are being replaced."""

SUFFIX: Final = ".seat"


class SeatError(OSError):
    """There is no number left for a further process; the text says what to do."""


@contextmanager
def seat(folder: Path, service: str, *, only_one: bool = False) -> Iterator[int]:
    """The lowest number, from 1, that no living process of the service has; ours in the block.

    Args:
        folder: the run folder; it is created.
        service: its name.
        only_one: whether the service may run once only.

    Raises:
        SeatError: all numbers are taken.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    most = 1 if only_one else MAX_SEATS
    for number in range(1, most + 1):
        descriptor = _locked(folder / f"{replica_name(service, number)}{SUFFIX}")
        if descriptor is None:
            continue
        try:
            yield number
        finally:
            os.close(descriptor)
        return
    raise SeatError(_full(folder, service, most))


def is_seated(folder: Path, service: str) -> bool:
    """Whether a process of the service runs on this host."""
    for path in folder.glob(f"{service}*{SUFFIX}"):
        stem, number = path.stem, path.stem.removeprefix(f"{service}-")
        if stem != service and not number.isdecimal():
            continue  # of a service whose name begins alike
        descriptor = _locked(path)
        if descriptor is None:
            return True
        os.close(descriptor)
    return False


def _locked(path: Path) -> int | None:
    """The file, open and locked by us; None while another process holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _full(folder: Path, service: str, most: int) -> str:
    if most == 1:
        return (
            f"a process of '{service}' runs on {folder.parent} already, and of this service "
            "only one may run: stop that one first ('engine mesh status' shows it)"
        )
    return f"{most} processes of '{service}' run on {folder.parent}, the most that may"
