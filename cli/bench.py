"""`engine bench`: the benchmark suites."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import fail, print_table

if TYPE_CHECKING:
    from loadtests.bench import Figure

app = typer.Typer(no_args_is_help=True, help="Measure figures against their named peers.")


@app.callback()
def _bench() -> None:
    """Keep `run` a subcommand though it is the only one."""


@app.command()
def run(
    suites: Annotated[
        list[str] | None, typer.Argument(help="Suites; all when none is named.")
    ] = None,
    *,
    quick: Annotated[bool, typer.Option(help="At most 90 s a suite.")] = False,
    json: Annotated[bool, typer.Option(help="One JSON object a line.")] = False,
    results: Annotated[
        Path | None, typer.Option(help="Keep the figures in this RESULTS.md too.")
    ] = None,
) -> None:
    """Measure suites and say which bars hold.

    Example: engine bench run sequencer --quick
    """
    from loadtests.bench import SUITES, run_suite
    from loadtests.bench.results import write

    chosen = suites or list(SUITES)
    if unknown := set(chosen) - set(SUITES):
        fail(f"no suite {', '.join(sorted(unknown))}", f"Choose from {', '.join(SUITES)}.", code=2)
    measured: dict[str, list[Figure]] = {}
    for suite in chosen:
        figures = measured.setdefault(suite, [])
        for figure in run_suite(suite, quick=quick):
            figures.append(figure)
            if json:
                _print_json(suite, figure)
        if not json:
            print_table(_HEADERS, map(_row, figures), title=suite)
    if results:
        write(results, measured)


_HEADERS = ("Figure", "Value", "Against", "Bar", "Holds")


def _print_json(suite: str, figure: Figure) -> None:
    import orjson

    print(orjson.dumps(figure.to_json(suite)).decode(), flush=True)


def _row(figure: Figure) -> tuple[str, ...]:
    bar = "" if figure.bar is None else f"{figure.direction} {figure.bar:g}"
    holds = {True: "yes", False: "NO", None: figure.note or "–"}[figure.holds]
    return figure.name, f"{figure.value:,.3g} {figure.unit}", figure.against, bar, holds
