"""`engine mesh`: who is where and how, rolling restarts, canaries."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.connect import load_settings
from cli.output import fail

app = typer.Typer(
    no_args_is_help=True,
    help="""The mesh: what runs, how it is, and how it is changed while it serves.

    'status' asks every process how it is, 'restart' replaces processes without a failed
    call, 'canary' gives a share of the calls to another version.
    """,
)


@app.command()
def restart(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]…", help="Services, processes ('customer-2') or pids."),
    ] = None,
    *,
    all_: Annotated[bool, typer.Option("--all", help="All processes, one after another.")] = False,
) -> None:
    """Replace processes one after another, without a failed call.

    For each: a new one starts, serves and is registered; then the old one drains and ends. A
    new one that does not come to serve ends the restart, and the old one goes on. Services
    that may run once only ('bus', 'ums') are away for the moment between the two; who calls
    them tries again.

    Examples: engine mesh restart customer

              engine mesh restart --all
    """
    from cli.processes.restart import restart as roll

    if bool(names) == all_:
        fail(
            "say which processes", "Give names, or --all; 'engine mesh status' shows them.", code=2
        )
    roll(load_settings(), names or [])
