"""`engine mesh status`: looks at the mesh once, or again and again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from cli.output import fail, terminal
from cli.processes.census import take
from cli.processes.findings import problems
from cli.processes.shown import as_json as to_json
from cli.processes.shown import print_census
from mesh.settings import Settings

CLEAR: Final = "\x1b[H\x1b[2J"
"""Has a terminal begin at the top of an empty screen."""


def look(settings: Settings, *, as_json: bool) -> bool:
    """Show the mesh as it is now; whether everything serves.

    Ends the program when nothing runs at all.
    """
    census = asyncio.run(take(settings))
    if not census.seen and not census.supervisors:
        fail(
            f"nothing serves on {settings.var}",
            "Start the platform with 'make run', or set ENGINE_VAR to its folder.",
        )
    found = [*problems(census)]
    if as_json:
        print(to_json(census, found), flush=True)
    else:
        print_census(census, found)
    return not found


def watch_on(
    settings: Settings,
    every_s: float,
    *,
    as_json: bool,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Show the mesh anew every so many seconds, until Ctrl-C."""
    try:
        while True:
            if terminal() and not as_json:
                print(CLEAR, end="")
            look(settings, as_json=as_json)
            print(flush=True)
            sleep(every_s)
    except KeyboardInterrupt:
        print()
