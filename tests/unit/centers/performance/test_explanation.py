"""What a number is made of, in words and figures."""

from __future__ import annotations

from centers.performance.explanation import explain, yuan
from tests.unit.centers.performance.book import Centre, reversal


async def story(office: Centre) -> list[str]:
    entries = await office.entries()
    _, result, all_entries = await office.ledger.story(entries[0].credit_id)
    return explain(result, all_entries)


async def test_a_credit_is_explained_down_to_its_transaction(office: Centre) -> None:
    """Class, rule, cause, shares and the fen that was left over (A14)."""
    await office.tell(office.opportunity(), office.contact())
    await office.record([office.fact(amount_fen=123_456)], [reversal(day="2026-01-02")])
    assert await story(office) == [
        (
            "Transaction R-1 of 2026-01-01: OWN_OTHER_BANK 1,234.56 yuan counts for "
            "net external inflow"
        ),
        "Attributed by rule 1 to opportunity 7 of scene version 5, by contact 9 of task 8",
        (
            "Credit 1: share 7,000 bp of 1,234.56 = 864.19 yuan for staff 31, "
            "the remainder of 0.2000 fen left to others"
        ),
        (
            "Credit 2: share 3,000 bp of 1,234.56 = 370.37 yuan for staff 32, "
            "1 fen of it for the remainder of 0.8000 fen, one of the largest"
        ),
        "Credit 3: -864.19 yuan undoes 1: taken back on 2026-01-02, CORRECTED",
        "Credit 4: -370.37 yuan undoes 2: taken back on 2026-01-02, CORRECTED",
    ]


async def test_a_cause_that_became_known_later_is_told_as_such(office: Centre) -> None:
    """With what was nobody's until then."""
    await office.record([office.fact()])
    await office.tell(office.opportunity(), office.contact())
    steps = await story(office)
    assert steps[1:4] == [
        "Nothing led to it by rule 1: no opportunity in the 30 days before",
        "Credit 1: 1,000.00 yuan is nobody's",
        "Credit 3: -1,000.00 yuan undoes 1: its cause became known later",
    ]
    assert steps[4].endswith(
        "to opportunity 7 of scene version 5; no contact had reached the customer"
    )
    assert steps[-1].startswith("Credit 8: share 3,000 bp of 1,000.00 = 300.00 yuan for staff 32")


def test_amounts_read_as_yuan() -> None:
    """With two places, and a sign in front."""
    assert [yuan(fen) for fen in (0, 5, -123_456_789)] == ["0.00", "0.05", "-1,234,567.89"]
