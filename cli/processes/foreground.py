"""A supervisor at work in the foreground: it starts, watches, and drains when it is told to."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cli.output import fail
from cli.processes.handover import Handed, Ports, Renewal
from cli.processes.slot import Program
from cli.supervisor import StartError, Supervisor
from mesh.settings import Settings

SUPERVISOR_GRACE_S = 5.0
"""What processes have to end beside the time that their calls have."""


def supervise(
    programs: Sequence[Program],
    settings: Settings,
    log_dir: Path | None,
    started: Callable[[Supervisor], None],
    *,
    handed: Handed | None = None,
    lock: int = -1,
) -> None:
    """Run programs until a signal asks to stop. `started` is called once all of them serve.

    Ends the program with code 1 when one of them does not start.

    Args:
        programs: what is run.
        settings: the platform's, with the ports that were picked.
        log_dir: as for `Supervisor`.
        started: called once all serve; not when this process has only begun anew.
        handed: what it goes on with when it has.
        lock: the open file that keeps others from the folder; -1: none.
    """
    ports = Ports(gateway=settings.gateway_port, metrics=settings.metrics_port)
    grace_s = settings.drain_s + SUPERVISOR_GRACE_S
    with (
        _foreground(),
        Supervisor(
            programs,
            log_dir,
            lambda fall: print(fall, flush=True),
            run_dir=settings.run_dir,
            grace_s=grace_s,
            renewal=Renewal(ports=ports, lock=lock),
            handed=handed,
        ) as supervisor,
    ):
        if handed is None:
            _start(supervisor, log_dir, started)
        else:
            print("Began anew, with the code and settings of now.", flush=True)
        supervisor.watch()
        print("\nDraining … (Ctrl-C again ends at once)", flush=True)
        supervisor.stop(grace_s)
        print("Stopped.", flush=True)


def _start(
    supervisor: Supervisor, log_dir: Path | None, started: Callable[[Supervisor], None]
) -> None:
    try:
        supervisor.start()
    except StartError as error:
        supervisor.stop(SUPERVISOR_GRACE_S)
        fail(str(error), f"The whole log is in {log_dir}." if log_dir else "")
    if not supervisor.stopping:
        started(supervisor)


@contextmanager
def _foreground() -> Iterator[None]:
    """Take Ctrl-C alone for the length of the block, when started by `make` on a terminal.

    The terminal sends it to the whole foreground group; `make` would die of it and
    report a failure though the platform stops well.
    """
    if not sys.stdin.isatty() or os.getpgrp() == os.getpid():
        yield
        return
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # a background group may not set the group
    terminal, before = sys.stdin.fileno(), os.getpgrp()
    os.setpgid(0, 0)
    os.tcsetpgrp(terminal, os.getpgrp())
    try:
        yield
    finally:
        os.tcsetpgrp(terminal, before)
