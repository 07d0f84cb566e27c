"""The program `engine`.

Nothing heavy is imported here: each command imports what it needs when it runs,
so that help answers at once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli import (
    bank,
    bench,
    call,
    db,
    demo,
    doctor,
    events,
    lane,
    mesh,
    new,
    pki,
    seq,
    stubs,
    token,
    trace,
)
from cli.connect import load_settings, use_settings_file
from cli.output import fail, print_table

app = typer.Typer(
    name="engine",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="""Engine: a bank's retail platform in one program.

    Start it with 'engine up', then try 'engine demo' in another terminal.
    Settings are ENGINE_* variables, or lines of a file: 'engine --settings FILE up'.
    'engine settings' shows them all.
    """,
)
app.add_typer(seq.app, name="seq")
app.add_typer(events.app, name="events")
app.add_typer(lane.app, name="lane")
app.add_typer(mesh.app, name="mesh")
app.add_typer(bank.app, name="bank")
app.add_typer(db.app, name="db")
app.add_typer(bench.app, name="bench")
app.add_typer(stubs.app, name="stubs")
app.add_typer(new.app, name="new")
app.add_typer(pki.app, name="pki")
app.add_typer(token.app, name="token")
app.add_typer(demo.app, name="demo")
app.command("call")(call.call)
app.command("doctor")(doctor.doctor)
app.command("trace")(trace.trace)
app.command("traces")(trace.traces)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"engine {version('engine-platform')}")
        raise typer.Exit


@app.callback()
def _engine(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True),
    ] = False,
    settings: Annotated[
        Path | None,
        typer.Option(
            help="File of ENGINE_NAME=value lines; the environment wins.",
            callback=use_settings_file,
        ),
    ] = None,
) -> None:
    """Options before the command."""


@app.command()
def up(
    *,
    load: Annotated[bool, typer.Option(help="Load the demo bank (ENGINE_DEMO=1 only).")] = True,
    settings: Annotated[Path | None, typer.Option(help="As before the command.")] = None,
) -> None:
    """Run the whole platform here, until Ctrl-C."""
    from cli import up as platform

    use_settings_file(settings)
    platform.run(load_settings(), load=load)


@app.command()
def serve(
    name: Annotated[str, typer.Argument(help="Name of the service: 'customer'.")],
    *,
    workers: Annotated[
        int,
        typer.Option(
            help="Run so many processes of it under a supervisor; 0: this process itself serves.",
            min=0,
            max=32,
        ),
    ] = 0,
    version_label: Annotated[
        str, typer.Option(help="The version that it registers as; else that of the program.")
    ] = "",
) -> None:
    """Run one service, until Ctrl-C: in this process, or in several under a supervisor.

    It joins what runs on the same ENGINE_VAR. Workers are started again when they die, and
    replaced one by one by 'engine mesh restart'.

    Examples: engine serve customer --workers 4

              engine serve customer --workers 1 --version-label 0.2.0-rc1
    """
    from cli import compose
    from cli import serve as single
    from cli.child import CONFIGURATION_ERROR
    from cli.processes import workers as several
    from cli.processes.handover import is_rehearsal
    from mesh.settings import SettingsError
    from mesh.storage import StorageError
    from mesh.tokens import write_trust

    settings = load_settings()
    services = compose.blueprints(demo=settings.demo)
    if name not in services:
        fail(f"there is no service '{name}'", several.near(name, services), code=2)
    place = single.Place(version=single.label(version_label))
    if not is_rehearsal():
        write_trust(settings.key_dir, compose.rights(services))
    try:
        if workers:
            several.run(services[name], settings, place, workers)
        else:
            settings = several.with_shared_port(services[name], settings)
            single.run(
                services[name], settings, place, lambda entry: print(entry.address, flush=True)
            )
    except (OSError, SettingsError, StorageError) as error:
        fail(str(error), code=CONFIGURATION_ERROR)


@app.command()
def status() -> None:
    """Show which services run, where, and how they are."""
    from mesh.registry import DirectoryRegistry

    settings = load_settings()
    entries = [
        e for group in DirectoryRegistry(settings.run_dir).services().values() for e in group
    ]
    if not entries:
        fail(f"nothing serves on {settings.var}", "Start the platform with 'make run'.")
    print_table(
        ("Service", "Address", "HTTP", "Pid", "Version", "State"),
        [(e.service, e.address, e.http, str(e.pid), e.version, e.state) for e in entries],
    )


@app.command()
def settings() -> None:
    """Show every setting with its effective value; '*' marks what differs from the default."""
    from mesh.settings import dump

    rows = [
        (name, value, "*" if changed else "", help_)
        for name, value, help_, changed in dump(load_settings())
    ]
    print_table(("Variable", "Value", "", "Meaning"), rows)


def main() -> None:
    """Entry point of the console script."""
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # read once, when grpc is first imported
    try:
        app()
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        typer.secho(f"engine: {error}", fg=typer.colors.RED, err=True)
        sys.exit(1)
