"""`engine mesh restart`: which processes are meant, and what is told while they are replaced."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from cli.output import fail
from cli.processes.client import Supervised, SupervisorError, supervisors
from mesh.registry import DirectoryRegistry
from mesh.settings import Settings

_SAID = {
    "starting": "pid {pid} starts",
    "serving": "pid {pid} serves",
    "draining": "pid {pid} drains",
    "ended": "pid {pid} has ended",
}


def restart(settings: Settings, names: Sequence[str], *, anew: bool = False) -> None:
    """Replace the processes of the names, or all of them, one after another; tell each step.

    With `anew` their supervisors take on the code and the settings of now before.

    Ends the program with code 1 when one cannot be replaced, and with 2 when a name is unknown.
    """
    running = supervisors(settings.run_dir)
    if not running:
        fail(
            f"no supervisor runs on {settings.var}",
            "Start the platform with 'make run', or a service with 'engine serve NAME "
            "--workers N'; or set ENGINE_VAR to the folder of the one that runs.",
        )
    for name in names:
        _refuse_unknown(name, running, settings)
    began, count = time.monotonic(), 0
    for supervisor in running:
        wanted = [slot for slot in supervisor.slots if not names or {*names} & {*_names(slot)}]
        if wanted:
            _roll(supervisor, [slot["name"] for slot in wanted], anew=anew)
            count += len(wanted)
    print(f"Replaced {count} {_processes(count)} in {time.monotonic() - began:.1f} s.")


def _roll(supervisor: Supervised, names: list[str], *, anew: bool) -> None:
    try:
        if anew:
            supervisor.renew()
            print(f"supervisor (pid {supervisor.pid}): began anew", flush=True)
        for step in supervisor.restart(names):
            print(f"{step['name']}: {_SAID[step['what']].format(pid=step['pid'])}", flush=True)
    except SupervisorError as error:
        fail(str(error), "What was not replaced goes on as it was: see 'engine mesh status'.")
    except OSError as error:
        fail(f"the supervisor (pid {supervisor.pid}) cannot be reached: {error}")


def _refuse_unknown(name: str, running: Sequence[Supervised], settings: Settings) -> None:
    known = {known for one in running for slot in one.slots for known in _names(slot)}
    if name in known:
        return
    for entry in _registered(settings, name):
        fail(
            f"'{name}' runs (pid {entry.pid}), and no supervisor on {settings.var} holds it",
            "Restart it where it was started; 'engine serve NAME --workers 1' is supervised.",
            code=2,
        )
    close = get_close_matches(name, known, n=1)
    services = sorted({slot["service"] for one in running for slot in one.slots})
    meant = f"Did you mean '{close[0]}'? " if close else ""
    fail(f"no process is called '{name}'", f"{meant}What runs: {', '.join(services)}.", code=2)


def _registered(settings: Settings, name: str) -> Iterator[Any]:
    for entries in DirectoryRegistry(settings.run_dir).services().values():
        for entry in entries:
            if name in (entry.service, str(entry.pid)):
                yield entry


def _names(slot: Mapping[str, Any]) -> tuple[str, str, str]:
    return slot["name"], slot["service"], str(slot["pid"])


def _processes(count: int) -> str:
    return "process" if count == 1 else "processes"
