"""`engine stubs`: the contracts for teams that call us."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.output import fail

app = typer.Typer(no_args_is_help=True, help="The contracts for teams that call us.")


@app.callback()
def _stubs() -> None:
    """Keep `export` a subcommand though it is the only one."""


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="Folder to write the .proto files to; new or empty.")],
) -> None:
    """Write the contracts and all that they import, ready for protoc in any language.

    Example: engine stubs export --out contracts, then follow contracts/README.md
    """
    from cli.contracts import export_protos

    if out.exists() and any(out.iterdir()):
        fail(f"{out} is not empty", "Name a new folder: nothing is overwritten.", code=2)
    written = export_protos(out)
    typer.echo(f"{len(written)} files in {out}")
