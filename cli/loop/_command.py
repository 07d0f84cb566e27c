"""Play scenarios step by step and print what came of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.connect import demo_runs, find, load_settings, sequencer
from cli.output import fail

if TYPE_CHECKING:
    from cli.loop.report import Line
    from mesh.settings import Settings

RUNS: Final = "demo.loop"
"""Sequence that numbers the runs: each has customers, a scene and a model of its own."""

LOAN_RUNS: Final = "demo.loans"
"""The same of the loan scenario."""

_Json = Annotated[bool, typer.Option("--json", help="Print the table as JSON, and nothing else.")]


def loop(*, json_: _Json = False) -> None:
    """Play the golden loop: 10,000 inflows become tasks, contacts, benefits and a measured result.

    Head office drafts, tests and launches a strategy with a tenth of the customers
    held out; the core bank hands in a day's inflows; relationship managers, agents and
    a robot work their tasks; benefits are claimed, money stays, and the effect is
    measured. Every number under "found" is asked of the platform; the command fails
    when one differs from the scenario's truth. It takes about a minute and can be
    repeated: each run has customers of its own.
    """
    from cli.loop.report import show

    settings = _running_demo()
    lines = asyncio.run(_play(settings, quiet=json_))
    show(lines, "Large inflow within 24 hours", as_json=json_)


def loans(*, json_: _Json = False) -> None:
    """Play the loan scenario: an offer viewed, not drawn for three days, becomes a drawdown.

    Sixty customers of its own look at a pre-approved offer. Who does not draw within
    three days gets a call; ten of them have money coming in, too, so that two scenes
    want the one contact that a week allows. Drawdowns count as such and add nothing to
    the inflow; a reversal takes the credit back.
    """
    from cli.loop.report import show

    settings = _running_demo()
    lines = asyncio.run(_play_loans(settings, quiet=json_))
    show(lines, "Pre-approved, viewed, not drawn for three days", as_json=json_)


def _running_demo() -> Settings:
    settings = load_settings()
    if not demo_runs(settings):
        fail("a scenario needs demo users", "Start the platform with 'make run' (ENGINE_DEMO=1).")
    find("gateway", settings)
    return settings


async def _play(settings: Settings, *, quiet: bool) -> Sequence[Line]:
    from bank.inflow import EXPECTED
    from cli.loop._front_line import FrontLine
    from cli.loop._money import CoreBank
    from cli.loop._population import populate
    from cli.loop._strategy import HeadOffice
    from cli.loop._table import Findings
    from cli.loop.catalogue import stock
    from cli.loop.people import People
    from cli.loop.report import Steps

    step = Steps(quiet=quiet)
    run = await _next_run(settings, RUNS)
    async with People(settings) as people:
        with step("products, scripts and qualifications are there"):
            shelf = await stock(people)
        with step(f"run {run}: 10,000 customers of its own"):
            parts = await populate(people, run=run, seed=settings.seed)
        with step("head office tests and launches the strategy"):
            head_office = HeadOffice(people, parts, shelf, run=run)
            strategy = await head_office.launch()
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
            table = await findings.table()
        await head_office.pause(strategy)
        return table


async def _play_loans(settings: Settings, *, quiet: bool) -> Sequence[Line]:
    from cli.loop.catalogue import stock
    from cli.loop.loans import play
    from cli.loop.people import People
    from cli.loop.report import Steps

    run = await _next_run(settings, LOAN_RUNS)
    async with People(settings) as people:
        shelf = await stock(people)
        return await play(people, shelf, Steps(quiet=quiet), run=run, seed=settings.seed)


async def _next_run(settings: Settings, sequence: str) -> int:
    async with sequencer(settings=settings) as ids:
        return await ids.sequence(sequence).next_id_async()
