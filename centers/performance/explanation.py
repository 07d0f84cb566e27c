"""Says in words and figures how a transaction became the entries of the ledger. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from centers.performance.domain import FULL_BP, WINDOW, Chain, Credit, Metric, Result

_NAMES: Final = {
    Metric.NET_EXTERNAL_INFLOW: "net external inflow",
    Metric.LOAN_DRAWDOWN: "loan drawdown",
}


def explain(result: Result, entries: Sequence[Credit]) -> list[str]:
    """The steps from the transaction to all its entries, in the order in which they were made."""
    return [*_transaction(result), *_entries(result, entries)]


def _transaction(result: Result) -> Iterator[str]:
    fact = result.fact
    counts = "counts" if result.counts else "does not count"
    yield (
        f"Transaction {fact.business_key} of {fact.business_date}: {fact.money_class} "
        f"{yuan(fact.amount_fen)} yuan {counts} for {_NAMES[fact.metric]}"
    )


def _entries(result: Result, entries: Sequence[Credit]) -> Iterator[str]:
    told: tuple[Chain, int] | None = None
    for entry in entries:
        if entry.is_reverse:
            yield _undone(result, entry)
            continue
        if told != (entry.chain, entry.rule_version):
            told = entry.chain, entry.rule_version
            yield _cause(entry)
        yield _share(result, entry)


def _cause(entry: Credit) -> str:
    chain, rule = entry.chain, f"rule {entry.rule_version}"
    if not chain.opportunity_id:
        return f"Nothing led to it by {rule}: no opportunity in the {WINDOW.days} days before"
    led = f"opportunity {chain.opportunity_id} of scene version {chain.scene_version}"
    if not chain.contact_id:
        return f"Attributed by {rule} to {led}; no contact had reached the customer"
    return f"Attributed by {rule} to {led}, by contact {chain.contact_id} of task {chain.task_id}"


def _share(result: Result, entry: Credit) -> str:
    amount = yuan(entry.amount_fen)
    if not entry.owner_id:
        return f"Credit {entry.credit_id}: {amount} yuan is nobody's"
    product = result.fact.amount_fen * entry.share_bp
    down, rest = divmod(product, FULL_BP)
    step = (
        f"Credit {entry.credit_id}: share {entry.share_bp:,} bp of "
        f"{yuan(result.fact.amount_fen)} = {amount} yuan for staff {entry.owner_id}"
    )
    if entry.amount_fen > down:
        return f"{step}, 1 fen of it for the remainder of 0.{rest:04} fen, one of the largest"
    return f"{step}, the remainder of 0.{rest:04} fen left to others" if rest else step


def _undone(result: Result, entry: Credit) -> str:
    step = (
        f"Credit {entry.credit_id}: {yuan(entry.amount_fen)} yuan undoes {entry.reversed_credit_id}"
    )
    if _became_known(result, entry):
        return f"{step}: its cause became known later"
    return (
        f"{step}: taken back on {result.reverse_date}, {result.reverse_reason or 'no reason given'}"
    )


def _became_known(result: Result, entry: Credit) -> bool:
    """Whether it undoes what was nobody's, of a result with an owner or another cause now."""
    return not entry.owner_id and (result.owners > 0 or entry.chain != result.chain)


def yuan(fen: int) -> str:
    """An amount as it is read: "-1,234.56"."""
    whole, part = divmod(abs(fen), 100)
    return f"{'-' if fen < 0 else ''}{whole:,}.{part:02}"
