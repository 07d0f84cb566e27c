"""Plays the loop step by step and prints what came of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.connect import demo_runs, find, load_settings, sequencer
from cli.output import fail, print_table

if TYPE_CHECKING:
    from cli.loop._table import Line
    from mesh.settings import Settings

RUNS: Final = "demo.loop"
"""Sequence that numbers the runs: each has customers, a scene and a model of its own."""


def loop(
    *,
    json_: Annotated[
        bool, typer.Option("--json", help="Print the table as JSON, and nothing else.")
    ] = False,
) -> None:
    """Play the golden loop: 10,000 inflows become tasks, contacts, benefits and a measured result.

    Head office drafts, tests and launches a strategy with a tenth of the customers
    held out; the core bank hands in a day's inflows; relationship managers, agents and
    a robot work their tasks; benefits are claimed, money stays, and the effect is
    measured. Every number under "found" is asked of the platform; the command fails
    when one differs from the scenario's truth. It takes about a minute and can be
    repeated: each run has customers of its own.
    """
    settings = load_settings()
    if not demo_runs(settings):
        fail("the loop needs demo users", "Start the platform with 'make run' (ENGINE_DEMO=1).")
    find("gateway", settings)
    lines = asyncio.run(_play(settings, quiet=json_))
    if json_:
        typer.echo(json.dumps([asdict(line) | {"holds": line.holds} for line in lines], indent=2))
    else:
        rows = [
            (line.title, line.expected, line.found, "✓" if line.holds else "✗") for line in lines
        ]
        print_table(("Step", "Expected", "Found", ""), rows, title="Large inflow within 24 hours")
    wrong = [line.key for line in lines if not line.holds]
    if wrong:
        fail(f"{len(wrong)} of {len(lines)} rows differ: {', '.join(wrong)}")


async def _play(settings: Settings, *, quiet: bool) -> Sequence[Line]:
    from bank.inflow import EXPECTED
    from cli.loop._front_line import FrontLine
    from cli.loop._money import CoreBank
    from cli.loop._population import populate
    from cli.loop._strategy import HeadOffice
    from cli.loop._table import Findings
    from cli.loop.catalogue import stock
    from cli.loop.people import People

    step = _Steps(quiet=quiet)
    run = await _next_run(settings)
    async with People(settings) as people:
        with step("products, scripts and qualifications are there"):
            shelf = await stock(people)
        with step(f"run {run}: 10,000 customers of its own"):
            parts = await populate(people, run=run, seed=settings.seed)
        with step("head office tests and launches the strategy"):
            strategy = await HeadOffice(people, parts, shelf, run=run).launch()
        findings, core = Findings(people, strategy), CoreBank(people, parts, run=run)
        front_line = FrontLine(people, parts, strategy)
        with step("the front line signs on; some customers were contacted before"):
            await front_line.arrive()
            await front_line.disturb()
        with step("10,000 inflows come in"):
            await core.inject()
        with step("they become opportunities and tasks"):
            await findings.reach(opportunities=EXPECTED["opportunities"], tasks=EXPECTED["tasks"])
        with step("25 of them are taken back"):
            await core.take_back()
            await findings.reach(reversed_after=EXPECTED["reversed_after"])
            await front_line.open_desks(EXPECTED["live"])
        with step("900 customers are attempted"):
            await front_line.attempt()
        with step("staff confirm in WeCom, customers answer the telephone"):
            await front_line.confirm()
            await front_line.settle()
        with step("tasks end with evidence"):
            await front_line.complete()
        with step("customers claim the benefit"):
            await front_line.claim()
        with step("money stays"):
            await core.settle()
        with step("the review adds up"):
            return await findings.table()


async def _next_run(settings: Settings) -> int:
    async with sequencer(settings=settings) as ids:
        return await ids.sequence(RUNS).next_id_async()


class _Steps:
    """Says each step with the time that it took, unless it is to be quiet."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    @contextmanager
    def __call__(self, title: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        if not self._quiet:
            typer.echo(f"{title:<62} {time.perf_counter() - began:6.1f} s")
