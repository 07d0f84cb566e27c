"""Scenario A17: a loan offer viewed, not drawn for three days, and what comes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from bank import Rows
from bank.loans import CUSTOMERS, EXPECTED, TALK_S, LoanCast, cast_loans
from cli.loop._loan_desks import LoanDesks
from cli.loop._loan_findings import LoanFindings
from cli.loop._loan_strategies import LoanStrategies
from cli.loop.catalogue import Shelf
from cli.loop.customers import admit, balanced, bring, plan_calls
from cli.loop.people import People
from cli.loop.report import Line, Steps
from engine.reach.v1 import reach_pb2

FIRST_ROW: Final = 80_000_001
"""Rows of the bank from here on are customers of runs; the golden loop's are far below."""

_TITLES: Final[Mapping[str, str]] = {
    "viewed": "offers viewed 查看预授信",
    "drawn_in_time": "drawn within three days: no trigger 三日内已提款",
    "waiting": "three days not over: no trigger yet 未满三日",
    "opportunities": "opportunities 商机",
    "tasks": "tasks 任务",
    "wealth_tasks": "tasks of a wealth scene for the same customers 财富任务",
    "receipts": "contacts asked for, both scenes 准入凭证",
    "admitted": "admitted 准入",
    "denied_cap": "denied: cap 频控拒绝",
    "most_admitted": "most contacts of one customer 单客最多触达",
    "reached": "reached 触达",
    "intent": "intent 有意向",
    "results": "loans drawn 提款",
    "drawdown_fen": "loan drawdown, fen 提款金额（分）",
    "ledger_fen": "… credited to owners, fen 归属合计（分）",
    "inflow_fen": "… in net external inflow, fen 计入行外净流入（分）",
    "converted": "converted 转化",
    "drawdown_after_fen": "loan drawdown after two reversals, fen 冲正后（分）",
    "ledger_after_fen": "… credited to owners, fen 归属合计（分）",
    "reversed_fen": "… left of what was reversed, fen 冲正业绩余额（分）",
    "converted_after": "converted after two reversals 冲正后转化",
}


async def play(people: People, shelf: Shelf, step: Steps, *, run: int, seed: int) -> Sequence[Line]:
    """Play the scenario once; its table."""
    strategies = LoanStrategies(people, shelf, run=run)
    with step(f"run {run}: 60 customers of its own"):
        parts = await _populate(people, run=run, seed=seed)
    with step("head office tests and launches two strategies"):
        feeds = await strategies.launch()
    desks, findings = LoanDesks(people, parts, shelf), LoanFindings(people, parts, feeds, run=run)
    with step("offers are viewed, some are drawn; money comes in, too"):
        await strategies.hand_in(parts)
        await desks.open(feeds)
    with step("two scenes want the one contact that a week allows"):
        contacts = await desks.attempt()
        await desks.complete(contacts)
    with step("loans are drawn"):
        await findings.draw()
        drawn = await findings.standing(
            drawdown_fen=EXPECTED["drawdown_fen"], converted=EXPECTED["converted"]
        )
    with step("two are taken back"):
        await findings.take_back()
        after = await findings.standing(
            drawdown_fen=EXPECTED["drawdown_after_fen"], converted=EXPECTED["converted_after"]
        )
    with step("the review adds up"):
        found = {
            **await strategies.verdicts(feeds),
            **await findings.funnels(),
            "most_admitted": _most_admitted(contacts),
            "results": drawn.results,
            "drawdown_fen": drawn.drawdown_fen,
            "ledger_fen": drawn.ledger_fen,
            "inflow_fen": await findings.inflow_fen(),
            "converted": drawn.converted,
            "drawdown_after_fen": after.drawdown_fen,
            "ledger_after_fen": after.ledger_fen,
            "reversed_fen": await findings.reversed_fen(),
            "converted_after": after.converted,
        }
        await strategies.pause(feeds)
    return list(_lines(found))


async def _populate(people: People, *, run: int, seed: int) -> LoanCast:
    tokens = await admit(people, Rows(FIRST_ROW + run * CUSTOMERS, CUSTOMERS), seed=seed)
    parts = cast_loans(tokens)
    await bring(people, [balanced(token, parts.owners[token]) for token in tokens])
    answering = (*parts.talked, *parts.contended)
    await plan_calls(people, parts.called, dict.fromkeys(answering, TALK_S))
    return parts


def _most_admitted(contacts: Sequence[reach_pb2.Contact]) -> int:
    admitted = reach_pb2.ADMISSION_DECISION_ADMITTED
    each = Counter(one.customer_id for one in contacts if one.receipt.decision == admitted)
    return max(each.values(), default=0)


def _lines(found: Mapping[str, int]) -> Iterator[Line]:
    for key, title in _TITLES.items():
        yield Line(key=key, title=title, expected=f"{EXPECTED[key]:,}", found=f"{found[key]:,}")
