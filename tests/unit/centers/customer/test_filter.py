"""The filter language: what it reads, and what it says when it cannot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centers.customer.filter import Condition, FilterError, parse
from engine.customer.v1 import customer_pb2

TIERS: dict[str, int] = dict(customer_pb2.Tier.items())
GRADES: dict[str, int] = dict(customer_pb2.RiskGrade.items())
ORDERED = ["=", "!=", "<", "<=", ">", ">="]


def enumeration(field: str, names: dict[str, int]) -> st.SearchStrategy[tuple[str, Condition]]:
    return st.tuples(st.sampled_from(ORDERED), st.sampled_from(sorted(names))).map(
        lambda pair: (pair[1], Condition(field, pair[0], names[pair[1]]))
    )


CONDITIONS = st.one_of(
    enumeration("tier", TIERS),
    enumeration("risk_grade", GRADES),
    st.tuples(st.sampled_from(["=", "!="]), st.booleans()).map(
        lambda pair: (str(pair[1]).lower(), Condition("has_wecom", pair[0], int(pair[1])))
    ),
    st.tuples(st.sampled_from(["=", "!="]), st.integers(0, 2**63 - 1)).map(
        lambda pair: (str(pair[1]), Condition("owner_id", pair[0], pair[1]))
    ),
)
SPACES = st.sampled_from(["", " ", "   ", "\t"])


@given(st.data(), st.lists(CONDITIONS, max_size=6))
def test_filter_reads_back_what_was_written(
    data: st.DataObject, written: list[tuple[str, Condition]]
) -> None:
    """Any conditions, spaced in any way, are read as they were meant and in their order."""
    parts = []
    for literal, condition in written:
        gap, other = data.draw(SPACES), data.draw(SPACES)
        parts.append(f"{condition.field}{gap}{condition.operator}{other}{literal}")
    edge = data.draw(SPACES)
    assert parse(edge + " AND ".join(parts) + edge) == tuple(c for _, c in written)


@given(st.text(max_size=500))
def test_any_text_is_read_or_refused(text: str) -> None:
    """A filter is read, or refused at a position within it; nothing else happens."""
    position = 1
    try:
        parse(text)
    except FilterError as error:
        position = error.position
    assert 1 <= position <= len(text) + 1


@given(
    st.lists(
        st.sampled_from(["tier", "owner_id", "AND", "=", ">=", "<", "true", "TIER_AUM5", "7", "?"]),
        max_size=12,
    )
)
def test_any_row_of_words_is_read_or_refused(words: list[str]) -> None:
    """Words of the language in a wrong order are refused, never misread or crashed on."""
    try:
        conditions = parse(" ".join(words))
    except FilterError:
        return
    assert len(words) == max(0, 4 * len(conditions) - 1)


@pytest.mark.parametrize(
    ("text", "position", "expected"),
    [
        ("name = 1", 1, "one of tier, risk_grade, has_wecom, owner_id"),
        ("tier", 5, "one of = != < <= > >= after tier"),
        ("tier ~ TIER_AUM5", 6, "one of = != < <= > >= after tier"),
        ("tier = 5", 8, "one of TIER_UNSPECIFIED, TIER_AUM0"),
        ("tier =", 7, "one of TIER_UNSPECIFIED"),
        ("has_wecom > true", 11, "one of = != after has_wecom"),
        ("has_wecom = yes", 13, "true or false for has_wecom"),
        ("owner_id = -1", 12, "a whole number for owner_id"),
        ("owner_id = 9223372036854775808", 12, "a whole number for owner_id"),
        ("owner_id = ٧", 12, "a whole number for owner_id"),
        ("owner_id = 7 OR owner_id = 8", 14, "AND or the end"),
        ("owner_id = 7 and owner_id = 8", 14, "AND or the end"),
        ("owner_id = 7 AND", 17, "one of tier, risk_grade, has_wecom, owner_id"),
        ("AND owner_id = 7", 1, "one of tier, risk_grade, has_wecom, owner_id"),
        ("(owner_id = 7)", 1, "one of tier, risk_grade, has_wecom, owner_id"),
    ],
)
def test_refusal_names_position_and_what_is_allowed(
    text: str, position: int, expected: str
) -> None:
    """Who writes a wrong filter is told where it goes wrong and what may stand there."""
    with pytest.raises(FilterError) as refused:
        parse(text)
    assert refused.value.position == position
    assert expected in str(refused.value)
    assert str(refused.value).startswith(f"at character {position}: expected ")


def test_refusal_does_not_repeat_the_text() -> None:
    """What the caller wrote may be personal; it does not come back in the error."""
    with pytest.raises(FilterError) as refused:
        parse("owner_id = 王小明13812345678")
    assert "王小明" not in str(refused.value)
