"""Reach, orders, follow-ups, and the search for personal numbers in text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centers.customer.domain import (
    ORDERS,
    Change,
    Customer,
    Draft,
    Extent,
    FollowUp,
    Reach,
    holds_personal_number,
    presumed_kind,
    undivided,
)
from engine.mesh.v1 import ownership_pb2, policy_pb2

CUSTOMER = Customer(
    customer_id=11,
    tier=3,
    risk_grade=2,
    risk_grade_expiry=None,
    owner_kind=ownership_pb2.OWNER_KIND_RELATIONSHIP_MANAGER,
    owner_id=7,
    branch_id=3,
    has_wecom=True,
    senior=False,
    shares=undivided(7, 3),
)
NINE = datetime(2026, 1, 1, 9, tzinfo=UTC)
FOLLOW_UP = FollowUp(
    follow_up_id=5,
    customer_id=11,
    summary="spoke about deposits",
    next_step="send the brochure",
    next_time=NINE,
    author="rm007",
    create_time=NINE,
    update_time=NINE,
)


@pytest.mark.parametrize(
    ("scope", "staff_id", "branch_id", "reach"),
    [
        (policy_pb2.SCOPE_ALL, 0, 0, Reach(Extent.ALL)),
        (policy_pb2.SCOPE_BRANCH, 7, 3, Reach(Extent.BRANCH, 3)),
        (policy_pb2.SCOPE_BRANCH, 7, 0, Reach(Extent.NONE)),
        (policy_pb2.SCOPE_OWN_BOOK, 7, 3, Reach(Extent.OWNED, 7)),
        (policy_pb2.SCOPE_OWN_BOOK, 0, 3, Reach(Extent.NONE)),
        (policy_pb2.SCOPE_SELF, 7, 3, Reach(Extent.NONE)),
        (policy_pb2.SCOPE_UNSPECIFIED, 7, 3, Reach(Extent.NONE)),
    ],
)
def test_reach_follows_scope(
    scope: policy_pb2.Scope.ValueType, staff_id: int, branch_id: int, reach: Reach
) -> None:
    """A scope reaches what it names; without a number to go by it reaches nothing."""
    assert Reach.within(scope, staff_id=staff_id, branch_id=branch_id) == reach


@pytest.mark.parametrize(
    ("owner_id", "branch_id", "kind"),
    [
        (0, 0, ownership_pb2.OWNER_KIND_UNSPECIFIED),
        (0, 3, ownership_pb2.OWNER_KIND_UNSPECIFIED),
        (7, 3, ownership_pb2.OWNER_KIND_RELATIONSHIP_MANAGER),
        (7, 0, ownership_pb2.OWNER_KIND_DIRECT_OPERATIONS),
    ],
)
def test_kind_of_owner_is_presumed_from_his_branch(
    owner_id: int, branch_id: int, kind: ownership_pb2.OwnerKind.ValueType
) -> None:
    """Who works in a branch is a manager, who works in none an agent."""
    assert presumed_kind(owner_id, branch_id) == kind


def test_order_ends_with_unique_key() -> None:
    """Every order tells any two customers apart, or pages would skip some."""
    assert {order.fields[-1] for order in ORDERS.values()} == {"customer_id"}
    assert ORDERS["tier desc"].cursor(CUSTOMER) == (3, 11)


def test_change_touches_named_fields_alone() -> None:
    """Fields that are not named keep their values; version and time move on."""
    draft = Draft(summary="new", next_step="new", next_time=None)
    changed = Change(fields=frozenset({"summary"}), draft=draft).applied(
        FOLLOW_UP, NINE + timedelta(hours=1)
    )
    assert (changed.summary, changed.next_step, changed.next_time) == (
        "new",
        "send the brochure",
        NINE,
    )
    assert changed.create_time == NINE
    assert changed.update_time == NINE + timedelta(hours=1)
    assert changed.version == 2


def test_change_gives_new_etag() -> None:
    """No two states of a follow-up share an etag, nor do two follow-ups."""
    draft = Draft(summary=FOLLOW_UP.summary, next_step="", next_time=None)
    change = Change(fields=frozenset({"summary"}), draft=draft)
    once = change.applied(FOLLOW_UP, NINE)
    twice = change.applied(once, NINE)
    assert len({FOLLOW_UP.etag, once.etag, twice.etag}) == 3


PHONES = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
ID_CARDS = st.from_regex(r"[1-9][0-9]{16}[0-9Xx]", fullmatch=True)
GAPS = st.sampled_from(["", " ", "-", " - ", ".", "·", "—", "　", "\u200b"])
PROSE = st.text("客户来电约定下周再谈abc，。!? ", max_size=12)


@given(st.data(), PROSE, PROSE, st.one_of(PHONES, ID_CARDS))
def test_number_is_found_however_it_is_spaced(
    data: st.DataObject, before: str, after: str, number: str
) -> None:
    """Spaces and dashes between the digits do not hide a number."""
    gaps = data.draw(st.lists(GAPS, min_size=len(number), max_size=len(number)))
    spaced = "".join(digit + gap for digit, gap in zip(number, gaps, strict=True))
    assert holds_personal_number(f"{before}{spaced}{after}")


@pytest.mark.parametrize(
    "text",
    [
        "call 13812345678",
        "电话：１３８１２３４５６７８",
        "+86 138 1234 5678",
        "+8613812345678",
        "0086-13812345678",
        "(138)1234-5678",
        "电话13812345678，2026-01-05再联系",
        "13812345678 2026-01-05",
        "١٣٨١٢٣٤٥٦٧٨",
        "身份证33010219900101123X",
        "330102 19900101 123x",
        "330102199001011234",
    ],
)
def test_personal_number_is_found(text: str) -> None:
    """Numbers as people write them are found."""
    assert holds_personal_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "客户对三年期存款感兴趣，约定2026-01-15 10:30面谈",
        "2026-01-15至2026-02-15期间有效",
        "意向金额1,500,000.00元",
        "固话 0571-8765432",
        "product 20260115003",
        "12012345678 is no mobile number",
        "token 1381234567890123456",
        "5 customers, 3 products, 95588",
    ],
)
def test_other_numbers_are_let_pass(text: str) -> None:
    """Dates, amounts, codes and longer numbers are not taken for personal ones."""
    assert not holds_personal_number(text)


@given(st.text(max_size=2000))
def test_any_text_can_be_searched(text: str) -> None:
    """The search ends with an answer for every text."""
    assert holds_personal_number(text) in (True, False)
