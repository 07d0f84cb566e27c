"""Masks hide what they must, whatever they are given."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centers.ark.domain import (
    BANDS,
    Field,
    Held,
    Record,
    amount_band,
    mask_account,
    mask_for,
    mask_id_card,
    mask_name,
    mask_phone,
    masked,
    repeated,
)
from engine.mesh.v1 import policy_pb2

WANG = Record(
    cif="1000004321",
    name="王小明",
    phone="13812341234",
    id_card="33010219900101123X",
    aum_fen=6_000_000,
)
DIGITS = st.text("0123456789", min_size=1, max_size=30)


def test_masks_show_what_the_contract_says() -> None:
    """Each mask keeps exactly the characters that the contract names."""
    assert mask_name("王小明") == "王**"
    assert mask_phone("13812341234") == "138****1234"
    assert mask_id_card("33010219900101123X") == "330***********123X"
    assert mask_account("1000004321") == "********4321"


@given(st.text(min_size=1, max_size=60))
def test_masked_name_tells_first_character_alone(name: str) -> None:
    """Names with the same first character look the same, however long they are."""
    assert mask_name(name) == name[0] + "**"


@given(DIGITS)
def test_masked_numbers_have_one_length(number: str) -> None:
    """The length of a number cannot be told from its mask."""
    assert len(mask_phone(number)) in (11, 4)
    assert len(mask_id_card(number)) in (18, 11)
    assert len(mask_account(number)) in (12, 8)


@pytest.mark.parametrize("mask", [mask_phone, mask_id_card])
def test_short_number_is_hidden_whole(mask: object) -> None:
    """A number that is no longer than what the mask shows is not shown at all."""
    assert callable(mask)
    assert set(mask("1234567")) == {"*"}


@given(DIGITS)
def test_mask_never_shows_whole_number(number: str) -> None:
    """No mask answers the number that it was given."""
    for mask in (mask_phone, mask_id_card, mask_account):
        assert number not in mask(number)


@pytest.mark.parametrize(
    ("yuan", "band"),
    [
        (0, "<50k"),
        (49_999, "<50k"),
        (50_000, "50k-200k"),
        (199_999, "50k-200k"),
        (200_000, "200k-500k"),
        (500_000, "500k-1M"),
        (1_000_000, "1M-3M"),
        (3_000_000, "3M-6M"),
        (5_999_999, "3M-6M"),
        (6_000_000, ">=6M"),
        (90_000_000_000, ">=6M"),
    ],
)
def test_amount_band_begins_at_its_lower_edge(yuan: int, band: str) -> None:
    """An edge belongs to the band above it; the last fen before it does not."""
    assert amount_band(yuan * 100) == band
    assert amount_band(yuan * 100 + 99) == band


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_amount_bands_keep_order(one: int, other: int) -> None:
    """A larger amount is never shown in a lower band."""
    low, high = sorted((one, other))
    assert BANDS.index(amount_band(low)) <= BANDS.index(amount_band(high))


def test_sensitivity_chooses_mask() -> None:
    """The mask follows the kind of data, not the name of the field."""
    assert mask_for(Field("anything", policy_pb2.SENSITIVITY_PHONE)) is mask_phone
    assert mask_for(Field("phone", policy_pb2.SENSITIVITY_NAME)) is mask_name


@pytest.mark.parametrize(
    "kind", [policy_pb2.SENSITIVITY_UNSPECIFIED, policy_pb2.SENSITIVITY_SECRET]
)
def test_field_without_rule_has_no_mask(kind: policy_pb2.Sensitivity.ValueType) -> None:
    """Data of a kind that no rule covers is not shown, not even masked."""
    assert mask_for(Field("name", kind)) is None


def test_only_fields_asked_for_are_shown() -> None:
    """A masked record has the fields asked for and no other."""
    held = Held(customer_id=7, record=WANG, import_time=datetime(2026, 1, 1, tzinfo=UTC))
    shown = masked(held, {"phone": mask_phone, "aum_fen": amount_band})
    assert shown.values == {"phone": "138****1234", "aum_fen": "50k-200k"}
    assert shown.customer_id == 7
    assert shown.as_of == datetime(2026, 1, 1, tzinfo=UTC)


def test_records_do_not_print_their_contents() -> None:
    """A record that ends up in a log or a traceback shows nothing."""
    held = Held(customer_id=7, record=WANG, import_time=datetime(2026, 1, 1, tzinfo=UTC))
    printed = f"{WANG!r} {WANG} {held!r} {held}"
    for value in (WANG.cif, WANG.name, WANG.phone, WANG.id_card, str(WANG.aum_fen)):
        assert value not in printed


def test_repeated_names_each_place_and_the_first() -> None:
    """Each repetition is reported with the place where the value first stood."""
    assert repeated(["a", "b", "a", "c", "a", "b"]) == [(2, 0), (4, 0), (5, 1)]
    assert repeated(["a", "b"]) == []
