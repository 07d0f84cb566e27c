"""`engine doctor`: examines a deployment and says what to do."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cli.connect import load_settings
from cli.output import print_table, terminal

if TYPE_CHECKING:
    from cli.checkup import Finding

_COLOURS = {"ok": typer.colors.GREEN, "warn": typer.colors.YELLOW, "fail": typer.colors.RED}


def doctor(
    *, json_: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False
) -> None:
    """Examine machine, settings, database, Redis and processes, and say what to do.

    Nothing needs to run yet. It makes an empty database and drops it, to see whether
    it may; else it changes nothing. Ends with code 1 when something fails.

    Example: engine --settings production.env doctor
    """
    import asyncio

    from cli.checkup import Verdict, examine

    findings = asyncio.run(examine(load_settings()))
    if json_:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        _print(findings)
    if any(finding.verdict is Verdict.FAIL for finding in findings):
        raise typer.Exit(1)


def _print(findings: list[Finding]) -> None:
    print_table(
        ("Check", "State", "Found"), [(f.name, _shown(f.verdict), f.found) for f in findings]
    )
    for finding in findings:
        if finding.advice and finding.verdict != "ok":
            typer.secho(f"{finding.name}: ", fg=_COLOURS[finding.verdict], nl=False)
            typer.echo(finding.advice)


def _shown(verdict: str) -> str:
    return verdict.upper() if terminal() and verdict != "ok" else str(verdict)
