"""Histories are read whole, however many events one customer has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from centers.decision.history_rows import Histories
from centers.decision.tables import business_event
from mesh.storage import Store

INFLOW = "core.inflow"
SINCE, UNTIL = 10, 40


def row(customer_id: int, occurred_us: int, key: str, event_type: str = INFLOW) -> dict[str, Any]:
    return {
        "customer_id": customer_id,
        "event_type": event_type,
        "occurred_us": occurred_us,
        "business_key": key,
        "attributes": f'{{"amount_fen":{occurred_us}}}',
        "ingest_us": 1,
        "reversed_us": None,
    }


def places(found: Mapping[int, Sequence[Any]]) -> dict[int, list[tuple[int, str]]]:
    return {
        customer: [(each.occurred_us, each.business_key) for each in histories]
        for customer, histories in found.items()
        if histories
    }


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 1_000])
async def test_a_history_longer_than_a_statement_may_read_is_read_in_parts(
    store: Store, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """No event is left out or comes twice, at the ends of the time and of parts alike."""
    monkeypatch.setattr("centers.decision.history_rows.ROWS", rows)
    expected = {
        1: [(SINCE, "a"), (SINCE, "b"), (UNTIL, "c")],
        3: [(20, f"d{n:02}") for n in range(12)] + [(21, "e")],
        4: [(UNTIL, "f")],
    }
    made = [row(one, *place) for one, kept in expected.items() for place in kept]
    made += [row(1, SINCE - 1, "early"), row(3, UNTIL + 1, "late"), row(9, 20, "nobody's")]
    made.append(row(4, 20, "other", "loan.drawdown"))
    histories = Histories(store)
    time = {"since_us": SINCE, "until_us": UNTIL}
    async with store.transaction() as tx:
        await tx.execute(sa.insert(business_event), made)
        facts = await histories.of_customers(tx, INFLOW, [4, 1, 2, 3], **time)
        measures = await histories.measures(tx, INFLOW, "amount_fen", [4, 1, 2, 3], **time)
    assert places(facts) == places(measures) == expected
    assert [each.value for each in measures[1]] == [SINCE, SINCE, UNTIL]
