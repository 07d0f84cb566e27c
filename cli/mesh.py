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
    anew: Annotated[
        bool, typer.Option("--reload", help="Take on new code and settings before.")
    ] = False,
) -> None:
    """Replace processes one after another, without a failed call.

    For each: a new one starts, serves and is registered; then the old one drains and ends. A
    new one that does not come to serve ends the restart, and the old one goes on. Services
    that may run once only ('bus', 'ums') are away for the moment between the two; who calls
    them tries again.

    New processes have the code and the settings with which their supervisor began, and read
    keys and certificates anew. With --reload the supervisor begins anew first, with what is
    installed and set now; what could not start is refused before anything is changed.

    Examples: engine mesh restart customer

              engine mesh restart --all --reload
    """
    from cli.processes.restart import restart as roll

    if bool(names) == all_:
        fail(
            "say which processes", "Give names, or --all; 'engine mesh status' shows them.", code=2
        )
    roll(load_settings(), names or [], anew=anew)


@app.command()
def status(
    *,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew until Ctrl-C.")] = False,
    every: Annotated[
        float, typer.Option(help="Seconds between two looks of --watch.", min=0.1, max=3600)
    ] = 2.0,
) -> None:
    """Show every process: where it is, its version and contracts, its health and load.

    Each is asked for its health at the moment; supervisors say what does not run. Ends with
    code 1 when something does not serve, and says what to do about it.

    Examples: engine mesh status

              engine mesh status --json | jq '.problems'
    """
    from cli.processes.looking import look, watch_on

    settings = load_settings()
    if watch:
        watch_on(settings, every, as_json=json_)
    elif not look(settings, as_json=json_):
        raise typer.Exit(1)


@app.command()
def canary(
    service: Annotated[str, typer.Argument(help="Name of the service.")],
    *,
    version: Annotated[str, typer.Option(help="The canary's version, or label.")] = "",
    weight: Annotated[
        int, typer.Option(help="Percent of the calls that it gets.", min=0, max=100)
    ] = 0,
    header: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Calls with this header go to it. Repeatable."),
    ] = None,
    beside: Annotated[
        str, typer.Option(help="The version that gets the other calls; else the one that serves.")
    ] = "",
    off: Annotated[bool, typer.Option("--off", help="End it: all get calls alike.")] = False,
) -> None:
    """Give a share of a service's calls, or those with a header, to another version of it.

    The route holds for every caller within moments, per call. While no process of the
    version serves, the others get its calls: so route first, then start it. Without options
    the route is shown.

    Examples: engine mesh canary customer --version 0.2.0 --weight 5

              engine mesh canary customer --version 0.2.0 --header x-canary=1

              engine mesh canary customer --off
    """
    import asyncio

    from cli.processes import canary as canaries

    settings = load_settings()
    headers = tuple(header or ())
    if off:
        asyncio.run(canaries.off(settings, service))
    elif version:
        if not weight and not headers:
            fail(
                "a canary needs calls",
                "Give --weight PERCENT, --header NAME=VALUE, or both.",
                code=2,
            )
        wish = canaries.Wish(version=version, weight=weight, headers=headers, beside=beside)
        asyncio.run(canaries.on(settings, service, wish))
    elif weight or headers or beside:
        fail("say which version is the canary", "Give --version VERSION.", code=2)
    else:
        asyncio.run(canaries.show(settings, service))
