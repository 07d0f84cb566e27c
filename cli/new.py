"""`engine new`: parts of the project in the house's shape."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import fail, print_table

if TYPE_CHECKING:
    from cli.templates import Plan

app = typer.Typer(
    no_args_is_help=True,
    help="""New parts of the project, in the house's shape.

    For who develops the platform: it works in a checkout, not on a running platform.
    """,
)


@app.callback()
def _new() -> None:
    """Keep `center` a subcommand though it is the only one."""


@app.command()
def center(
    name: Annotated[str, typer.Argument(help="One word, in small letters: 'voucher'.")],
    *,
    resource: Annotated[
        str, typer.Option(help="What it keeps, as one word: 'card'. The name itself by default.")
    ] = "",
    title: Annotated[str, typer.Option(help="Its Chinese name: '卡券中心'.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be written, and write nothing.")
    ] = False,
) -> None:
    """Make a new centre: contract, code, migration, tests, page, permissions.

    It keeps one kind of thing, to create, read, list and change over gRPC and REST,
    with idempotency, etags, pages, events and records of who did what. All checks
    pass at once; then make it yours. Nothing is overwritten, and either all files
    are written or none. docs/howto/new-center.md leads through them.

    Example: engine new center loyalty --resource card --title 忠诚度中心
    """
    from cli.templates import EditError, NameRefusedError, names, plan, write

    root = _checkout()
    try:
        words = names(root, name, resource=resource, title=title)
        work = plan(root, words)
        tidied = True if dry_run else write(root, work)
    except NameRefusedError as refused:
        fail(str(refused), refused.next_step, code=2)
    except EditError as error:
        fail(str(error), "Put the file back into the form that it has in the repository.")
    _show(work, "would be written" if dry_run else "written")
    if not dry_run:
        _next_steps(words.center, f"make{'' if tidied else ' fix'} generate lint test")


def _checkout() -> Path:
    """The root of the checkout that the current folder is in."""
    here = Path.cwd()
    found = next((folder for folder in (here, *here.parents) if _is_ours(folder)), None)
    if found is None:
        fail(f"{here} is in no checkout of Engine", "Change into the repository first.", code=2)
    return found


def _is_ours(folder: Path) -> bool:
    try:
        text = (folder / "pyproject.toml").read_text()
        name = tomllib.loads(text).get("project", {}).get("name")
    except (tomllib.TOMLDecodeError, OSError):
        return False
    return bool(name == "engine-platform")


def _show(work: Plan, done: str) -> None:
    rows = [(path, "new") for path in work.new] + [(path, "changed") for path in work.changed]
    print_table(("File", "State"), rows, f"{len(rows)} files {done}")


def _next_steps(name: str, command: str) -> None:
    typer.secho(f"Now: {command}", fg=typer.colors.GREEN)
    typer.echo(f"  → Then state in protos/engine/{name}/v1/{name}.proto what the centre is for")
    typer.echo("  → docs/howto/new-center.md leads through the rest")
